//! The tutorial with the crate qdrant-client: `tutorial steps|stranger`.
//!
//! `steps` runs every step; `stranger` is started without the CA and tries one call. Each step is one line of JSON on standard
//! output; ../../steps.ts holds what must stand there. The client takes the CA from `SSL_CERT_FILE`, keys and port come from
//! the environment.

use std::env::var;
use std::future::Future;
use std::io::stdin;
use std::time::Duration;

use qdrant_client::qdrant::{
    CountPointsBuilder, CreateCollectionBuilder, DeletePointsBuilder, Distance, LookupLocationBuilder, PointId, PointStruct,
    PointsIdsList, Query, QueryPointsBuilder, UpsertPointsBuilder, VectorParamsBuilder,
};
use qdrant_client::{Payload, Qdrant, QdrantError};
use serde_json::{json, Value};

const BOOKS: &str = "books";
/// Names of the codes with which the gateway refuses, as gRPC spells them.
const REFUSALS: [(i32, &str); 3] = [(3, "INVALID_ARGUMENT"), (7, "PERMISSION_DENIED"), (16, "UNAUTHENTICATED")];

fn env(name: &str) -> String {
    var(name).unwrap_or_default()
}

fn client(key: Option<&str>) -> Qdrant {
    let made = Qdrant::from_url(&format!("https://localhost:{}", env("GRPC_PORT"))).skip_compatibility_check();
    let keyed = match key {
        Some(key) => made.api_key(key),
        None => made,
    };
    keyed.timeout(Duration::from_secs(30)).build().expect("the address is right")
}

fn say(line: Value) {
    println!("{line}");
}

/// Prints what came of a call. Code and text of the gateway are those of the status within the error.
async fn show(step: &str, call: impl Future<Output = Result<Value, QdrantError>>) {
    match call.await {
        Ok(result) => say(json!({ "step": step, "result": result })),
        Err(error) => {
            let (code, text) = refusal(&error);
            say(json!({ "step": step, "code": code, "text": text, "shown": error.to_string() }));
        }
    }
}

fn refusal(error: &QdrantError) -> (Value, Value) {
    if let QdrantError::ResponseError { status } = error {
        if let Some((_, name)) = REFUSALS.iter().find(|(code, _)| *code == status.code() as i32) {
            return (json!(name), json!(status.message()));
        }
    }
    (Value::Null, Value::Null)
}

async fn list(by: &Qdrant) -> Result<Value, QdrantError> {
    let all = by.list_collections().await?;
    Ok(all.collections.into_iter().map(|one| one.name).collect())
}

async fn count(by: &Qdrant, collection: &str) -> Result<Value, QdrantError> {
    let counted = by.count(CountPointsBuilder::new(collection)).await?;
    Ok(json!(counted.result.map(|result| result.count)))
}

async fn search(by: &Qdrant) -> Result<Value, QdrantError> {
    let near = Query::new_nearest(vec![0.8, 0.2, 0.1, 0.1]);
    let found = by.query(QueryPointsBuilder::new(BOOKS).query(near).limit(1).with_payload(true)).await?;
    let title = found.result.first().and_then(|point| point.payload.get("title"));
    Ok(title.map_or(Value::Null, |title| title.clone().into_json()))
}

fn point(id: u64, title: &str, vector: [f32; 4]) -> PointStruct {
    let payload = Payload::try_from(json!({ "title": title })).expect("an object");
    PointStruct::new(id, vector.to_vec(), payload)
}

fn done<T>(answer: Result<T, QdrantError>) -> Result<Value, QdrantError> {
    answer.map(|_| json!("done"))
}

async fn write(by: &Qdrant, points: Vec<PointStruct>) -> Result<Value, QdrantError> {
    done(by.upsert_points(UpsertPointsBuilder::new(BOOKS, points).wait(true)).await)
}

async fn create(by: &Qdrant) -> Result<Value, QdrantError> {
    let vectors = VectorParamsBuilder::new(4, Distance::Dot);
    done(by.create_collection(CreateCollectionBuilder::new(BOOKS).vectors_config(vectors)).await)
}

async fn delete_point(by: &Qdrant) -> Result<Value, QdrantError> {
    let ids = PointsIdsList { ids: vec![PointId::from(1)] };
    done(by.delete_points(DeletePointsBuilder::new(BOOKS).points(ids)).await)
}

async fn look_up(by: &Qdrant) -> Result<Value, QdrantError> {
    let from = LookupLocationBuilder::new("private");
    let query = Query::new_nearest(PointId::from(1));
    done(by.query(QueryPointsBuilder::new(BOOKS).query(query).lookup_from(from)).await)
}

/// Tells the harness what it waits for, and waits for a line.
fn wait(step: &str) {
    say(json!({ "step": step }));
    stdin().read_line(&mut String::new()).expect("a line comes");
}

/// As a program that tries again: the same client object, until the gateway answers.
async fn again(by: &Qdrant) -> Result<Value, QdrantError> {
    for _ in 0..300 {
        if let Ok(counted) = count(by, BOOKS).await {
            return Ok(counted);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    count(by, BOOKS).await
}

async fn steps() {
    let (admin, reader, token) = (client(Some(&env("ADMIN"))), client(Some(&env("READER"))), client(Some(&env("TOKEN"))));
    show("no key", list(&client(None))).await;
    show("a wrong key", list(&client(Some("wrong")))).await;
    show("an expired token", list(&client(Some(&env("EXPIRED"))))).await;
    show("admin creates", create(&admin)).await;
    let two = vec![point(1, "Dune", [0.9, 0.1, 0.1, 0.2]), point(2, "Emma", [0.1, 0.8, 0.3, 0.4])];
    show("admin writes", write(&admin, two)).await;
    show("admin searches", search(&admin)).await;
    show("reader counts", count(&reader, BOOKS)).await;
    show("reader deletes a point", delete_point(&reader)).await;
    show("token lists", list(&token)).await;
    show("token searches", search(&token)).await;
    show("token writes", write(&token, vec![point(3, "Ulysses", [0.2, 0.2, 0.9, 0.1])])).await;
    show("token reads another collection", count(&token, "private")).await;
    show("token names another collection", look_up(&token)).await;
    show("token deletes the collection", async { done(token.delete_collection(BOOKS).await) }).await;
    wait("stop");
    show("gateway is away", count(&admin, BOOKS)).await;
    wait("start");
    show("gateway is back", again(&admin)).await;
    show("admin deletes the collection", async { done(admin.delete_collection(BOOKS).await) }).await;
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if std::env::args().nth(1).as_deref() == Some("stranger") {
        return show("the CA is not trusted", list(&client(Some(&env("ADMIN"))))).await;
    }
    steps().await;
}
