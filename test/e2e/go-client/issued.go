package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
)

// provided asks an identity provider for a token for each call (credentials.PerRPCCredentials).
type provided struct {
	url     string
	client  *http.Client
	fetched int
}

func (p *provided) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}, "resource": {"urn:qdrant"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth("robot", "robot-secret-0123456789")
	request.Header.Set("content-type", "application/x-www-form-urlencoded")
	answer, err := p.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var said struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		return nil, err
	}
	p.fetched++
	return map[string]string{"authorization": "Bearer " + said.Token}, nil
}

func (p *provided) RequireTransportSecurity() bool { return true }

func rootsOf(file string) (*tls.Config, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots}, nil
}

// refused fails a call that was let pass, or refused for another reason.
func refused(call string, words string, err error) {
	if err == nil {
		err = fmt.Errorf("it was let pass")
	} else if strings.Contains(err.Error(), words) {
		err = nil
	}
	say("refused "+call, err)
}

// issued goes through the tutorial with tokens of an identity provider. It needs the collection `other-docs`, which they may not see.
//
//	go-client HOST PORT issued CA TOKEN_URL PROVIDER_CA
func issued(ctx context.Context, host string, port int, ca, tokenURL, providerCA string) error {
	own, err := rootsOf(ca)
	if err != nil {
		return err
	}
	theirs, err := rootsOf(providerCA)
	if err != nil {
		return err
	}
	tokens := &provided{url: tokenURL, client: &http.Client{Transport: &http.Transport{TLSClientConfig: theirs}}}
	client, err := qdrant.NewClient(&qdrant.Config{
		Host: host, Port: port, UseTLS: true, TLSConfig: own, SkipCompatibilityCheck: true,
		GrpcOptions: []grpc.DialOption{grpc.WithPerRPCCredentials(tokens)},
	})
	if err != nil {
		return err
	}
	defer client.Close()
	tutorial(ctx, client)
	say("fetched", wanted(nil, tokens.fetched >= 20, tokens.fetched))
	return nil
}

func tutorial(ctx context.Context, c *qdrant.Client) {
	const name, other = "search-docs", "other-docs"
	config := qdrant.NewVectorsConfig(&qdrant.VectorParams{Size: 2, Distance: qdrant.Distance_Dot})
	yes := true
	point := func(id uint64) *qdrant.PointStruct {
		return &qdrant.PointStruct{Id: qdrant.NewIDNum(id), Vectors: qdrant.NewVectors(float32(id), 0),
			Payload: qdrant.NewValueMap(map[string]any{"n": int64(id)})}
	}
	say("create", c.CreateCollection(ctx, &qdrant.CreateCollection{CollectionName: name, VectorsConfig: config}))
	names, err := c.ListCollections(ctx)
	say("list", wanted(err, len(names) == 1 && names[0] == name, names))
	info, err := c.GetCollectionInfo(ctx, name)
	say("get", wanted(err, info.GetConfig().GetParams().GetVectorsConfig().GetParams().GetSize() == 2, info))
	exists, err := c.CollectionExists(ctx, name)
	say("exists", wanted(err, exists, exists))
	_, err = c.Upsert(ctx, &qdrant.UpsertPoints{CollectionName: name, Wait: &yes,
		Points: []*qdrant.PointStruct{point(1), point(2), point(3)}})
	say("upsert", err)
	found, err := c.Query(ctx, &qdrant.QueryPoints{CollectionName: name, Query: qdrant.NewQuery(1, 0)})
	say("query", wanted(err, len(found) == 3 && found[0].GetId().GetNum() == 3, found))
	page, err := c.Scroll(ctx, &qdrant.ScrollPoints{CollectionName: name, Limit: qdrant.PtrOf(uint32(2))})
	say("scroll", wanted(err, len(page) == 2, page))
	count, err := c.Count(ctx, &qdrant.CountPoints{CollectionName: name})
	say("count", wanted(err, count == 3, count))
	_, err = c.CreateFieldIndex(ctx, &qdrant.CreateFieldIndexCollection{CollectionName: name, FieldName: "n", Wait: &yes,
		FieldType: qdrant.FieldType_FieldTypeInteger.Enum()})
	say("index", err)
	made, err := c.CreateSnapshot(ctx, name)
	say("create snapshot", err)
	snapshots, err := c.ListSnapshots(ctx, name)
	say("list snapshots", wanted(err, len(snapshots) == 1, snapshots))
	say("delete snapshot", c.DeleteSnapshot(ctx, name, made.GetName()))
	_, err = c.Delete(ctx, &qdrant.DeletePoints{CollectionName: name, Wait: &yes,
		Points: qdrant.NewPointsSelector(qdrant.NewIDNum(1))})
	say("delete points", err)
	foreign := "Access to collection " + other + " is required"
	refused("create", "Forbidden: ", c.CreateCollection(ctx, &qdrant.CreateCollection{CollectionName: "other-new", VectorsConfig: config}))
	_, err = c.Query(ctx, &qdrant.QueryPoints{CollectionName: other, Query: qdrant.NewQuery(1, 0)})
	refused("query", foreign, err)
	_, err = c.Upsert(ctx, &qdrant.UpsertPoints{CollectionName: other, Points: []*qdrant.PointStruct{point(1)}})
	refused("upsert", foreign, err)
	_, err = c.ListSnapshots(ctx, other)
	refused("snapshots", foreign, err)
	refused("alias", "Forbidden: ", c.CreateAlias(ctx, "search-now", name))
	refused("delete", "Forbidden: ", c.DeleteCollection(ctx, other))
	_, err = c.CreateFullSnapshot(ctx)
	refused("storage snapshot", "Forbidden: ", err)
	say("delete", c.DeleteCollection(ctx, name))
}
