import static io.qdrant.client.PointIdFactory.id;
import static io.qdrant.client.QueryFactory.nearest;
import static io.qdrant.client.ValueFactory.value;
import static io.qdrant.client.VectorsFactory.vectors;
import static io.qdrant.client.WithPayloadSelectorFactory.enable;

import com.google.common.util.concurrent.ListenableFuture;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import io.qdrant.client.QdrantClient;
import io.qdrant.client.QdrantGrpcClient;
import io.qdrant.client.grpc.Collections.Distance;
import io.qdrant.client.grpc.Collections.VectorParams;
import io.qdrant.client.grpc.Points.LookupLocation;
import io.qdrant.client.grpc.Points.PointStruct;
import io.qdrant.client.grpc.Points.QueryPoints;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;

/**
 * The tutorial with io.qdrant:client: {@code Tutorial steps|stranger}.
 *
 * <p>{@code steps} runs every step; {@code stranger} is started without the CA and tries one call. Each step is one line of JSON
 * on standard output; ../steps.ts holds what must stand there. The keys, the CA and the port come from the environment.
 */
public final class Tutorial {
  private static final String BOOKS = "books";
  private static final Gson GSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();

  /** The codes with which the gateway refuses; another one says that no answer came. */
  private static final Set<Status.Code> REFUSALS =
      Set.of(Status.Code.UNAUTHENTICATED, Status.Code.PERMISSION_DENIED, Status.Code.INVALID_ARGUMENT);

  /** A client with a key. The CA is part of the channel; without one the trust store of the JDK counts. */
  private static QdrantClient client(String key) throws IOException {
    TlsChannelCredentials.Builder tls = TlsChannelCredentials.newBuilder();
    String ca = System.getenv("CA");
    ChannelCredentials credentials = ca == null ? tls.build() : tls.trustManager(new File(ca)).build();
    String target = "localhost:" + System.getenv("GRPC_PORT");
    var builder =
        QdrantGrpcClient.newBuilder(Grpc.newChannelBuilder(target, credentials).build(), true, false)
            .withTimeout(Duration.ofSeconds(30));
    return new QdrantClient((key == null ? builder : builder.withApiKey(key)).build());
  }

  private static void say(String step, Map<String, Object> more) {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("step", step);
    line.putAll(more);
    System.out.println(GSON.toJson(line));
    System.out.flush();
  }

  /** Prints what came of a call. A future fails with an ExecutionException; its cause has the status of the gateway. */
  private static void show(String step, Callable<Object> call) throws Exception {
    try {
      say(step, Map.of("result", call.call()));
    } catch (ExecutionException error) {
      Status status = Status.fromThrowable(error);
      boolean refused = REFUSALS.contains(status.getCode());
      Map<String, Object> line = new LinkedHashMap<>();
      line.put("code", refused ? status.getCode().name() : null);
      line.put("text", refused ? status.getDescription() : null);
      line.put("shown", error.getCause().toString());
      say(step, line);
    }
  }

  private static Object done(ListenableFuture<?> call) throws Exception {
    call.get();
    return "done";
  }

  private static PointStruct point(long number, String title, float... vector) {
    return PointStruct.newBuilder()
        .setId(id(number))
        .setVectors(vectors(vector))
        .putPayload("title", value(title))
        .build();
  }

  private static Object search(QdrantClient by) throws Exception {
    QueryPoints query =
        QueryPoints.newBuilder()
            .setCollectionName(BOOKS)
            .setQuery(nearest(0.8f, 0.2f, 0.1f, 0.1f))
            .setLimit(1)
            .setWithPayload(enable(true))
            .build();
    return by.queryAsync(query).get().get(0).getPayloadMap().get("title").getStringValue();
  }

  private static Object lookUp(QdrantClient by) throws Exception {
    LookupLocation elsewhere = LookupLocation.newBuilder().setCollectionName("private").build();
    return done(
        by.queryAsync(
            QueryPoints.newBuilder().setCollectionName(BOOKS).setQuery(nearest(id(1))).setLookupFrom(elsewhere).build()));
  }

  private static void steps() throws Exception {
    QdrantClient admin = client(System.getenv("ADMIN"));
    QdrantClient reader = client(System.getenv("READER"));
    QdrantClient token = client(System.getenv("TOKEN"));
    QdrantClient none = client(null);
    QdrantClient wrong = client("wrong");
    QdrantClient expired = client(System.getenv("EXPIRED"));
    VectorParams size = VectorParams.newBuilder().setSize(4).setDistance(Distance.Dot).build();
    List<PointStruct> two = List.of(point(1, "Dune", 0.9f, 0.1f, 0.1f, 0.2f), point(2, "Emma", 0.1f, 0.8f, 0.3f, 0.4f));
    List<PointStruct> third = List.of(point(3, "Ulysses", 0.2f, 0.2f, 0.9f, 0.1f));
    show("no key", () -> none.listCollectionsAsync().get());
    show("a wrong key", () -> wrong.listCollectionsAsync().get());
    show("an expired token", () -> expired.listCollectionsAsync().get());
    show("admin creates", () -> done(admin.createCollectionAsync(BOOKS, size)));
    show("admin writes", () -> done(admin.upsertAsync(BOOKS, two)));
    show("admin searches", () -> search(admin));
    show("reader counts", () -> reader.countAsync(BOOKS).get());
    show("reader deletes a point", () -> done(reader.deleteAsync(BOOKS, List.of(id(1)))));
    show("token lists", () -> token.listCollectionsAsync().get());
    show("token searches", () -> search(token));
    show("token writes", () -> done(token.upsertAsync(BOOKS, third)));
    show("token reads another collection", () -> token.countAsync("private").get());
    show("token names another collection", () -> lookUp(token));
    show("token deletes the collection", () -> done(token.deleteCollectionAsync(BOOKS)));
    BufferedReader harness = new BufferedReader(new InputStreamReader(System.in));
    say("stop", Map.of());
    harness.readLine();
    show("gateway is away", () -> admin.countAsync(BOOKS).get());
    say("start", Map.of());
    harness.readLine();
    show("gateway is back", () -> again(() -> admin.countAsync(BOOKS).get()));
    show("admin deletes the collection", () -> done(admin.deleteCollectionAsync(BOOKS)));
    for (QdrantClient each : List.of(admin, reader, token, none, wrong, expired)) each.close();
  }

  /** As a program that tries again: the same client object, until the gateway answers. */
  private static Object again(Callable<Object> call) throws Exception {
    for (int tries = 0; tries < 300; tries++) {
      try {
        return call.call();
      } catch (ExecutionException error) {
        Thread.sleep(200);
      }
    }
    return call.call();
  }

  public static void main(String[] arguments) throws Exception {
    if (arguments.length > 0 && arguments[0].equals("stranger")) {
      QdrantClient stranger = client(System.getenv("ADMIN"));
      show("the CA is not trusted", () -> stranger.listCollectionsAsync().get());
      stranger.close();
      return;
    }
    steps();
  }
}
