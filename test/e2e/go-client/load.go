package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/qdrant/go-client/qdrant"
)

// points is the number of points that are there before a load: point n has the payload {"n": n}.
const points = 100

// outcome is what came of a load, as one JSON line.
type outcome struct {
	Reads  int            `json:"reads"`
	Wrong  int            `json:"wrong"`
	Writes []uint64       `json:"writes"`
	Errors map[string]int `json:"errors"`
	sync.Mutex
}

// load reads and writes over one connection, `parallel` calls at a time, until standard input ends.
//
//	go-client HOST PORT load CA KEY PARALLEL
func load(host string, port int, ca, key string, parallel int) error {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client, err := qdrant.NewClient(&qdrant.Config{
		Host: host, Port: port, APIKey: key, UseTLS: true, TLSConfig: &tls.Config{RootCAs: roots},
		PoolSize: 1, SkipCompatibilityCheck: true,
	})
	if err != nil {
		return err
	}
	defer client.Close()
	over := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(over)
	}()
	got := &outcome{Writes: []uint64{}, Errors: map[string]int{}}
	var calls sync.WaitGroup
	for at := range parallel {
		calls.Add(1)
		go func() {
			defer calls.Done()
			for call := uint64(at); ; call += uint64(parallel) {
				select {
				case <-over:
					return
				case <-time.After(10 * time.Millisecond):
				}
				got.one(client, call)
			}
		}()
	}
	calls.Wait()
	return json.NewEncoder(os.Stdout).Encode(got)
}

// one reads a point, or writes one whose id is above those that are read.
func (got *outcome) one(client *qdrant.Client, call uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if call%2 == 0 {
		id := 1 + call%points
		read, err := client.Get(ctx, &qdrant.GetPoints{CollectionName: docs, Ids: []*qdrant.PointId{qdrant.NewIDNum(id)},
			WithPayload: qdrant.NewWithPayload(true)})
		got.Lock()
		defer got.Unlock()
		if err != nil {
			got.Errors[err.Error()]++
			return
		}
		got.Reads++
		if len(read) != 1 || read[0].GetPayload()["n"].GetIntegerValue() != int64(id) {
			got.Wrong++
		}
		return
	}
	id := 1000 + call
	yes := true
	result, err := client.Upsert(ctx, &qdrant.UpsertPoints{CollectionName: docs, Wait: &yes, Points: []*qdrant.PointStruct{{
		Id: qdrant.NewIDNum(id), Vectors: qdrant.NewVectors(1, 0),
		Payload: qdrant.NewValueMap(map[string]any{"call": fmt.Sprintf("call-%d;", id)})}}})
	got.Lock()
	defer got.Unlock()
	if err != nil {
		got.Errors[err.Error()]++
		return
	}
	if result.GetStatus() != qdrant.UpdateStatus_Completed {
		got.Wrong++
	}
	got.Writes = append(got.Writes, id)
}
