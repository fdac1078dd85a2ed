// Drives everything the official Go client offers against one server, and writes one JSON line for each call:
//
//	go-client HOST PORT
//
// A line is {"call": name, "error": text or null}. Methods of the client that no call here stands for are errors, too.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"time"

	"github.com/qdrant/go-client/qdrant"
)

const docs = "docs"

// Local work and accessors: nothing of them reaches a server.
var local = map[string]bool{
	"Close": true, "GetCollectionsClient": true, "GetConnection": true, "GetGrpcClient": true, "GetPointsClient": true,
	"GetQdrantClient": true, "GetSnapshotsClient": true,
}

var called = map[string]bool{}

func say(call string, err error) {
	line := map[string]any{"call": call, "error": nil}
	if err != nil {
		line["error"] = err.Error()
	}
	_ = json.NewEncoder(os.Stdout).Encode(line)
}

// run notes that a method was called, and what came of it.
func run(method string, err error) {
	called[method] = true
	say(method, err)
}

// wanted fails a call whose answer is not what it should be.
func wanted(err error, right bool, got any) error {
	if err != nil || right {
		return err
	}
	return fmt.Errorf("not what was asked for: %v", got)
}

func create(ctx context.Context, c *qdrant.Client) {
	yes := true
	run("CreateCollection", c.CreateCollection(ctx, &qdrant.CreateCollection{
		CollectionName: docs,
		VectorsConfig: qdrant.NewVectorsConfigMap(map[string]*qdrant.VectorParams{
			"":      {Size: 2, Distance: qdrant.Distance_Dot},
			"image": {Size: 2, Distance: qdrant.Distance_Cosine, OnDisk: &yes},
		}),
		SparseVectorsConfig: qdrant.NewSparseVectorsConfig(map[string]*qdrant.SparseVectorParams{"words": {}}),
		HnswConfig:          &qdrant.HnswConfigDiff{M: qdrant.PtrOf(uint64(24))},
	}))
	info, err := c.GetCollectionInfo(ctx, docs)
	run("GetCollectionInfo", wanted(err, info.GetConfig().GetHnswConfig().GetM() == 24 &&
		info.GetConfig().GetOptimizerConfig().DefaultSegmentNumber != nil &&
		info.GetConfig().GetOptimizerConfig().GetFlushIntervalSec() == 5 &&
		info.GetConfig().GetParams().GetVectorsConfig().GetParamsMap().GetMap()["image"].GetOnDisk(), info))
	run("UpdateCollection", c.UpdateCollection(ctx, &qdrant.UpdateCollection{
		CollectionName: docs, OptimizersConfig: &qdrant.OptimizersConfigDiff{IndexingThreshold: qdrant.PtrOf(uint64(5000))},
	}))
	exists, err := c.CollectionExists(ctx, docs)
	run("CollectionExists", wanted(err, exists, exists))
	names, err := c.ListCollections(ctx)
	run("ListCollections", wanted(err, len(names) == 1 && names[0] == docs, names))
	run("CreateAlias", c.CreateAlias(ctx, "live", docs))
	run("RenameAlias", c.RenameAlias(ctx, "live", "now"))
	aliases, err := c.ListAliases(ctx)
	run("ListAliases", wanted(err, len(aliases) == 1 && aliases[0].GetAliasName() == "now", aliases))
	of, err := c.ListCollectionAliases(ctx, docs)
	run("ListCollectionAliases", wanted(err, len(of) == 1, of))
	run("DeleteAlias", c.DeleteAlias(ctx, "now"))
	run("UpdateAliases", c.UpdateAliases(ctx, []*qdrant.AliasOperations{qdrant.NewAliasCreate("live", docs)}))
}

func write(ctx context.Context, c *qdrant.Client) {
	yes := true
	ids := func(numbers ...uint64) *qdrant.PointsSelector {
		list := []*qdrant.PointId{}
		for _, number := range numbers {
			list = append(list, qdrant.NewIDNum(number))
		}
		return qdrant.NewPointsSelector(list...)
	}
	done := func(method string) func(*qdrant.UpdateResult, error) {
		return func(result *qdrant.UpdateResult, err error) {
			known := result.GetStatus() == qdrant.UpdateStatus_Completed || result.GetStatus() == qdrant.UpdateStatus_Acknowledged
			run(method, wanted(err, known, result))
		}
	}
	done("Upsert")(c.Upsert(ctx, &qdrant.UpsertPoints{CollectionName: docs, Wait: &yes, Points: []*qdrant.PointStruct{
		{Id: qdrant.NewIDNum(1), Payload: qdrant.NewValueMap(map[string]any{"kind": "a", "rank": 1, "deep": map[string]any{"x": []any{1, nil}}}),
			Vectors: qdrant.NewVectorsMap(map[string]*qdrant.Vector{"": qdrant.NewVector(1, 0), "image": qdrant.NewVector(0, 1),
				"words": qdrant.NewVectorSparse([]uint32{1}, []float32{1})})},
		{Id: qdrant.NewIDNum(2), Payload: qdrant.NewValueMap(map[string]any{"kind": "b"}), Vectors: qdrant.NewVectors(0, 1)},
		{Id: qdrant.NewIDUUID("5c56c793-69f3-4fbf-87e6-c4bf54c28c26"), Vectors: qdrant.NewVectors(0.5, 0.5)},
	}}))
	done("CreateFieldIndex")(c.CreateFieldIndex(ctx, &qdrant.CreateFieldIndexCollection{
		CollectionName: docs, FieldName: "kind", FieldType: qdrant.FieldType_FieldTypeKeyword.Enum()}))
	done("SetPayload")(c.SetPayload(ctx, &qdrant.SetPayloadPoints{
		CollectionName: docs, Payload: qdrant.NewValueMap(map[string]any{"y": 1.5}), PointsSelector: ids(1)}))
	done("OverwritePayload")(c.OverwritePayload(ctx, &qdrant.SetPayloadPoints{
		CollectionName: docs, Payload: qdrant.NewValueMap(map[string]any{"kind": "b"}), PointsSelector: ids(2)}))
	done("DeletePayload")(c.DeletePayload(ctx, &qdrant.DeletePayloadPoints{
		CollectionName: docs, Keys: []string{"y"}, PointsSelector: ids(1)}))
	done("UpdateVectors")(c.UpdateVectors(ctx, &qdrant.UpdatePointVectors{CollectionName: docs, Points: []*qdrant.PointVectors{
		{Id: qdrant.NewIDNum(2), Vectors: qdrant.NewVectorsMap(map[string]*qdrant.Vector{"image": qdrant.NewVector(1, 0)})}}}))
	done("DeleteVectors")(c.DeleteVectors(ctx, &qdrant.DeletePointVectors{
		CollectionName: docs, PointsSelector: ids(2), Vectors: &qdrant.VectorsSelector{Names: []string{"image"}}}))
	results, err := c.UpdateBatch(ctx, &qdrant.UpdateBatchPoints{CollectionName: docs, Operations: []*qdrant.PointsUpdateOperation{
		qdrant.NewPointsUpdateUpsert(&qdrant.PointsUpdateOperation_PointStructList{Points: []*qdrant.PointStruct{
			{Id: qdrant.NewIDNum(9), Vectors: qdrant.NewVectors(1, 1)}}}),
		qdrant.NewPointsUpdateClearPayload(&qdrant.PointsUpdateOperation_ClearPayload{Points: ids(9)}),
	}})
	run("UpdateBatch", wanted(err, len(results) == 2, results))
	done("ClearPayload")(c.ClearPayload(ctx, &qdrant.ClearPayloadPoints{CollectionName: docs, Points: ids(9)}))
	done("Delete")(c.Delete(ctx, &qdrant.DeletePoints{CollectionName: docs, Points: ids(9)}))
	done("DeleteFieldIndex")(c.DeleteFieldIndex(ctx, &qdrant.DeleteFieldIndexCollection{CollectionName: docs, FieldName: "other"}))
}

func read(ctx context.Context, c *qdrant.Client) {
	filter := &qdrant.Filter{Must: []*qdrant.Condition{qdrant.NewMatch("kind", "a")}}
	all := qdrant.NewWithPayload(true)
	points, err := c.Get(ctx, &qdrant.GetPoints{CollectionName: docs, Ids: []*qdrant.PointId{qdrant.NewIDNum(1)},
		WithPayload: all, WithVectors: qdrant.NewWithVectors(true)})
	run("Get", wanted(err, len(points) == 1 && points[0].GetPayload()["kind"].GetStringValue() == "a" &&
		len(points[0].GetVectors().GetVectors().GetVectors()) == 3, points))
	points, err = c.Scroll(ctx, &qdrant.ScrollPoints{CollectionName: docs, Filter: filter})
	run("Scroll", wanted(err, len(points) == 1, points))
	points, offset, err := c.ScrollAndOffset(ctx, &qdrant.ScrollPoints{CollectionName: docs, Limit: qdrant.PtrOf(uint32(1))})
	run("ScrollAndOffset", wanted(err, len(points) == 1 && offset.GetNum() == 2, offset))
	count, err := c.Count(ctx, &qdrant.CountPoints{CollectionName: docs, Filter: filter})
	run("Count", wanted(err, count == 1, count))
	hits, err := c.Query(ctx, &qdrant.QueryPoints{CollectionName: docs, Query: qdrant.NewQuery(1, 0), WithPayload: all})
	run("Query", wanted(err, len(hits) == 3 && hits[0].GetId().GetNum() == 1, hits))
	batches, err := c.QueryBatch(ctx, &qdrant.QueryBatchPoints{CollectionName: docs, QueryPoints: []*qdrant.QueryPoints{
		{CollectionName: docs, Query: qdrant.NewQueryID(qdrant.NewIDNum(1)), Limit: qdrant.PtrOf(uint64(1))}}})
	run("QueryBatch", wanted(err, len(batches) == 1 && len(batches[0].GetResult()) == 1, batches))
	groups, err := c.QueryGroups(ctx, &qdrant.QueryPointGroups{CollectionName: docs, Query: qdrant.NewQuery(1, 0), GroupBy: "kind"})
	run("QueryGroups", wanted(err, len(groups) == 2, groups))
	facets, err := c.Facet(ctx, &qdrant.FacetCounts{CollectionName: docs, Key: "kind"})
	run("Facet", wanted(err, len(facets) == 2, facets))
	pairs, err := c.SearchMatrixPairs(ctx, &qdrant.SearchMatrixPoints{CollectionName: docs})
	run("SearchMatrixPairs", wanted(err, len(pairs.GetPairs()) > 0, pairs))
	offsets, err := c.SearchMatrixOffsets(ctx, &qdrant.SearchMatrixPoints{CollectionName: docs})
	run("SearchMatrixOffsets", wanted(err, len(offsets.GetIds()) == 3, offsets))
}

func others(ctx context.Context, c *qdrant.Client) {
	health, err := c.HealthCheck(ctx)
	run("HealthCheck", wanted(err, health.GetVersion() != "", health))
	made, err := c.CreateSnapshot(ctx, docs)
	run("CreateSnapshot", wanted(err, made.GetName() != "" && made.GetCreationTime().IsValid() && made.GetSize() > 0, made))
	list, err := c.ListSnapshots(ctx, docs)
	run("ListSnapshots", wanted(err, len(list) == 1, list))
	run("DeleteSnapshot", c.DeleteSnapshot(ctx, docs, made.GetName()))
	full, err := c.CreateFullSnapshot(ctx)
	run("CreateFullSnapshot", wanted(err, full.GetName() != "", full))
	list, err = c.ListFullSnapshots(ctx)
	run("ListFullSnapshots", wanted(err, len(list) == 1, list))
	run("DeleteFullSnapshot", c.DeleteFullSnapshot(ctx, full.GetName()))
	run("CreateShardKey", c.CreateShardKey(ctx, docs, &qdrant.CreateShardKey{ShardKey: qdrant.NewShardKey("k")}))
	_, err = c.ListShardKeys(ctx, docs)
	run("ListShardKeys", err)
	run("DeleteShardKey", c.DeleteShardKey(ctx, docs, &qdrant.DeleteShardKey{ShardKey: qdrant.NewShardKey("k")}))
	cluster, err := c.GetCollectionClusterInfo(ctx, docs)
	run("GetCollectionClusterInfo", wanted(err, cluster.GetShardCount() == 1, cluster))
	run("UpdateClusterCollectionSetup", c.UpdateClusterCollectionSetup(ctx, &qdrant.UpdateCollectionClusterSetupRequest{
		CollectionName: docs,
		Operation: &qdrant.UpdateCollectionClusterSetupRequest_DropReplica{DropReplica: &qdrant.Replica{ShardId: 0, PeerId: 1}}}))
	run("DeleteCollection", c.DeleteCollection(ctx, docs))
	_, err = c.GetCollectionInfo(ctx, docs)
	say("GetCollectionInfo of a collection that is gone", wanted(nil, err != nil, err))
}

func main() {
	port, _ := strconv.Atoi(os.Args[2])
	if len(os.Args) > 3 && os.Args[3] == "load" {
		parallel, _ := strconv.Atoi(os.Args[6])
		if err := load(os.Args[1], port, os.Args[4], os.Args[5], parallel); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if len(os.Args) > 6 && os.Args[3] == "issued" {
		say("ready", issued(ctx, os.Args[1], port, os.Args[4], os.Args[5], os.Args[6]))
		say("end", nil)
		return
	}
	if len(os.Args) > 6 && os.Args[3] == "exchange" {
		say("ready", exchange(ctx, os.Args[1], port, os.Args[4], os.Args[5], os.Args[6]))
		say("end", nil)
		return
	}
	// This client is two releases behind what the stand-in names, about which it would print a warning.
	client, err := qdrant.NewClient(&qdrant.Config{Host: os.Args[1], Port: port, SkipCompatibilityCheck: true})
	say("connects", err)
	create(ctx, client)
	write(ctx, client)
	read(ctx, client)
	others(ctx, client)
	offered := reflect.TypeOf(client)
	for at := range offered.NumMethod() {
		if name := offered.Method(at).Name; !local[name] && !called[name] {
			say(name, fmt.Errorf("no call here stands for this method"))
		}
	}
	say("closes", client.Close())
	say("end", nil)
}
