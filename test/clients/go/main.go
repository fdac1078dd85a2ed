// The tutorial with the official Go client: `go-client steps|stranger`.
//
// `steps` runs every step; `stranger` is started without the CA and tries one call. Each step is one line of JSON on standard
// output; ../steps.ts holds what must stand there. The keys, the CA and the port come from the environment.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const books = "books"

var query = qdrant.NewQuery(0.8, 0.2, 0.1, 0.1)

// client connects with a key. The CA is given in TLSConfig; without one the roots of the system count.
func client(key string) *qdrant.Client {
	settings := &tls.Config{MinVersion: tls.VersionTLS13}
	if path := os.Getenv("CA"); path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			panic(err)
		}
		settings.RootCAs = x509.NewCertPool()
		settings.RootCAs.AppendCertsFromPEM(pem)
	}
	port, err := strconv.Atoi(os.Getenv("GRPC_PORT"))
	if err != nil {
		panic(err)
	}
	made, err := qdrant.NewClient(&qdrant.Config{
		Host: "localhost", Port: port, APIKey: key, UseTLS: true, TLSConfig: settings, SkipCompatibilityCheck: true,
	})
	if err != nil {
		panic(err)
	}
	return made
}

var names = map[codes.Code]string{
	codes.Unauthenticated: "UNAUTHENTICATED", codes.PermissionDenied: "PERMISSION_DENIED", codes.InvalidArgument: "INVALID_ARGUMENT",
}

func say(line map[string]any) {
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		panic(err)
	}
}

// show prints what came of a call. Code and text of the gateway are those of the gRPC status within the error.
func show(step string, result any, err error) {
	if err == nil {
		say(map[string]any{"step": step, "result": result})
		return
	}
	line := map[string]any{"step": step, "code": nil, "text": nil, "shown": err.Error()}
	if state, is := status.FromError(err); is && names[state.Code()] != "" {
		// The client puts words of its own before the message; the status inside has the gateway's text alone.
		line["code"], line["text"] = names[state.Code()], inner(err)
	}
	say(line)
}

func inner(err error) string {
	for {
		wrapped, is := err.(interface{ Unwrap() error })
		if !is || wrapped.Unwrap() == nil {
			break
		}
		err = wrapped.Unwrap()
	}
	state, _ := status.FromError(err)
	return state.Message()
}

func point(id uint64, title string, vector ...float32) *qdrant.PointStruct {
	return &qdrant.PointStruct{
		Id: qdrant.NewIDNum(id), Vectors: qdrant.NewVectors(vector...), Payload: qdrant.NewValueMap(map[string]any{"title": title}),
	}
}

func done(_ any, err error) (any, error) { return "done", err }

func search(ctx context.Context, by *qdrant.Client) (any, error) {
	found, err := by.Query(ctx, &qdrant.QueryPoints{
		CollectionName: books, Query: query, Limit: qdrant.PtrOf(uint64(1)), WithPayload: qdrant.NewWithPayload(true),
	})
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%d points were found", len(found))
	}
	return found[0].GetPayload()["title"].GetStringValue(), nil
}

func count(ctx context.Context, by *qdrant.Client, collection string) (any, error) {
	return by.Count(ctx, &qdrant.CountPoints{CollectionName: collection})
}

func write(ctx context.Context, by *qdrant.Client, points ...*qdrant.PointStruct) (any, error) {
	return done(by.Upsert(ctx, &qdrant.UpsertPoints{CollectionName: books, Wait: qdrant.PtrOf(true), Points: points}))
}

func list(ctx context.Context, by *qdrant.Client) (any, error) { return by.ListCollections(ctx) }

func steps(ctx context.Context) {
	admin, reader, token := client(os.Getenv("ADMIN")), client(os.Getenv("READER")), client(os.Getenv("TOKEN"))
	next := func(step string) func(any, error) {
		return func(result any, err error) { show(step, result, err) }
	}
	next("no key")(list(ctx, client("")))
	next("a wrong key")(list(ctx, client("wrong")))
	next("an expired token")(list(ctx, client(os.Getenv("EXPIRED"))))
	next("admin creates")("done", admin.CreateCollection(ctx, &qdrant.CreateCollection{
		CollectionName: books, VectorsConfig: qdrant.NewVectorsConfig(&qdrant.VectorParams{Size: 4, Distance: qdrant.Distance_Dot}),
	}))
	next("admin writes")(write(ctx, admin, point(1, "Dune", 0.9, 0.1, 0.1, 0.2), point(2, "Emma", 0.1, 0.8, 0.3, 0.4)))
	next("admin searches")(search(ctx, admin))
	next("reader counts")(count(ctx, reader, books))
	next("reader deletes a point")(done(reader.Delete(ctx, &qdrant.DeletePoints{
		CollectionName: books, Points: qdrant.NewPointsSelector(qdrant.NewIDNum(1)),
	})))
	next("token lists")(list(ctx, token))
	next("token searches")(search(ctx, token))
	next("token writes")(write(ctx, token, point(3, "Ulysses", 0.2, 0.2, 0.9, 0.1)))
	next("token reads another collection")(count(ctx, token, "private"))
	next("token names another collection")(done(token.Query(ctx, &qdrant.QueryPoints{
		CollectionName: books, Query: qdrant.NewQueryID(qdrant.NewIDNum(1)), LookupFrom: &qdrant.LookupLocation{CollectionName: "private"},
	})))
	next("token deletes the collection")("done", token.DeleteCollection(ctx, books))
	harness := bufio.NewScanner(os.Stdin)
	say(map[string]any{"step": "stop"})
	harness.Scan()
	next("gateway is away")(count(ctx, admin, books))
	say(map[string]any{"step": "start"})
	harness.Scan()
	next("gateway is back")(again(func() (any, error) { return count(ctx, admin, books) }))
	next("admin deletes the collection")("done", admin.DeleteCollection(ctx, books))
}

// again is a program that tries again: the same client object, until the gateway answers.
func again(call func() (any, error)) (any, error) {
	for range 300 {
		if got, err := call(); err == nil {
			return got, nil
		}
		time.Sleep(200 * time.Millisecond)
	}
	return call()
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if len(os.Args) > 1 && os.Args[1] == "stranger" {
		names, err := list(ctx, client(os.Getenv("ADMIN")))
		show("the CA is not trusted", names, err)
		return
	}
	steps(ctx)
}
