// The tutorial with the package Qdrant.Client: `tutorial steps|stranger`.
//
// `steps` runs every step; `stranger` is started without the CA and tries one call. Each step is one line of JSON on standard
// output; ../steps.ts holds what must stand there. The keys, the CA and the port come from the environment.

using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.Client;
using Qdrant.Client;
using Qdrant.Client.Grpc;

const string Books = "books";
float[] near = [0.8f, 0.2f, 0.1f, 0.1f];

if (args is ["stranger"])
{
    await Show("the CA is not trusted", async () => await Client(Env("ADMIN")).ListCollectionsAsync());
    return;
}

var (admin, reader, token) = (Client(Env("ADMIN")), Client(Env("READER")), Client(Env("TOKEN")));
await Show("no key", async () => await Client(null).ListCollectionsAsync());
await Show("a wrong key", async () => await Client("wrong").ListCollectionsAsync());
await Show("an expired token", async () => await Client(Env("EXPIRED")).ListCollectionsAsync());
await Show("admin creates", () => Done(admin.CreateCollectionAsync(Books, new VectorParams { Size = 4, Distance = Distance.Dot })));
await Show("admin writes", () => Done(admin.UpsertAsync(Books,
    [Point(1, "Dune", [0.9f, 0.1f, 0.1f, 0.2f]), Point(2, "Emma", [0.1f, 0.8f, 0.3f, 0.4f])])));
await Show("admin searches", () => Search(admin));
await Show("reader counts", async () => await reader.CountAsync(Books));
await Show("reader deletes a point", () => Done(reader.DeleteAsync(Books, 1)));
await Show("token lists", async () => await token.ListCollectionsAsync());
await Show("token searches", () => Search(token));
await Show("token writes", () => Done(token.UpsertAsync(Books, [Point(3, "Ulysses", [0.2f, 0.2f, 0.9f, 0.1f])])));
await Show("token reads another collection", async () => await token.CountAsync("private"));
await Show("token names another collection", () => Done(token.QueryAsync(Books,
    query: new Query { Nearest = new VectorInput { Id = new PointId { Num = 1 } } },
    lookupFrom: new LookupLocation { CollectionName = "private" })));
await Show("token deletes the collection", () => Done(token.DeleteCollectionAsync(Books)));
Say(new() { ["step"] = "stop" });
Console.ReadLine();
await Show("gateway is away", async () => await admin.CountAsync(Books));
Say(new() { ["step"] = "start" });
Console.ReadLine();
await Show("gateway is back", () => Again(async () => await admin.CountAsync(Books)));
await Show("admin deletes the collection", () => Done(admin.DeleteCollectionAsync(Books)));

static string Env(string name) => Environment.GetEnvironmentVariable(name) ?? "";

// The CA is given to the handler of the channel; without one the roots of the system count.
static QdrantClient Client(string? key)
{
    var handler = new SocketsHttpHandler();
    if (Environment.GetEnvironmentVariable("CA") is { } path)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
        };
        policy.CustomTrustStore.ImportFromPemFile(path);
        handler.SslOptions.CertificateChainPolicy = policy;
    }
    var channel = GrpcChannel.ForAddress($"https://localhost:{Env("GRPC_PORT")}", new GrpcChannelOptions { HttpHandler = handler });
    var calls = channel.Intercept(metadata =>
    {
        if (key is not null) metadata.Add("api-key", key);
        return metadata;
    });
    return new QdrantClient(new QdrantGrpcClient(calls), TimeSpan.FromSeconds(30));
}

static void Say(Dictionary<string, object?> line) => Console.WriteLine(JsonSerializer.Serialize(line));

// Code and text of the gateway are those of the status within the exception.
static async Task Show(string step, Func<Task<object?>> call)
{
    try
    {
        Say(new() { ["step"] = step, ["result"] = await call() });
    }
    catch (RpcException error)
    {
        string? code = error.StatusCode switch
        {
            StatusCode.Unauthenticated => "UNAUTHENTICATED",
            StatusCode.PermissionDenied => "PERMISSION_DENIED",
            StatusCode.InvalidArgument => "INVALID_ARGUMENT",
            _ => null,
        };
        string? text = code is null ? null : error.Status.Detail;
        Say(new() { ["step"] = step, ["code"] = code, ["text"] = text, ["shown"] = $"{error.GetType().Name}: {error.Message}" });
    }
}

static async Task<object?> Done(Task call)
{
    await call;
    return "done";
}

async Task<object?> Search(QdrantClient by)
{
    var found = await by.QueryAsync(Books, query: new Query { Nearest = near }, limit: 1);
    return found[0].Payload["title"].StringValue;
}

static PointStruct Point(ulong id, string title, float[] vector) =>
    new() { Id = id, Vectors = vector, Payload = { ["title"] = title } };

// As a program that tries again: the same client object, until the gateway answers.
static async Task<object?> Again(Func<Task<object?>> call)
{
    for (var tries = 0; tries < 300; tries++)
    {
        try
        {
            return await call();
        }
        catch (RpcException)
        {
            await Task.Delay(200);
        }
    }
    return await call();
}
