package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
)

// exchanged exchanges a credential for a short token, and keeps that until shortly before its end (credentials.PerRPCCredentials).
type exchanged struct {
	rest       string
	credential string
	client     *http.Client
	mutex      sync.Mutex
	token      string
	until      time.Time
	minted     int
}

func (e *exchanged) get(ctx context.Context) (string, error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if time.Now().Before(e.until) {
		return e.token, nil
	}
	form := url.Values{
		"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		"subject_token":      {e.credential},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.rest+"/-/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("content-type", "application/x-www-form-urlencoded")
	answer, err := e.client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var said struct {
		Token       string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		return "", err
	}
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%d %s: %s", answer.StatusCode, said.Error, said.Description)
	}
	e.token, e.until = said.Token, time.Now().Add(time.Duration(said.ExpiresIn-30)*time.Second)
	e.minted++
	return e.token, nil
}

func (e *exchanged) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := e.get(ctx)
	return map[string]string{"api-key": token}, err
}

func (e *exchanged) RequireTransportSecurity() bool { return true }

// call sends a REST request with the token and reads its answer.
func (e *exchanged) call(ctx context.Context, method, path, body string) (int, string, error) {
	token, err := e.get(ctx)
	if err != nil {
		return 0, "", err
	}
	request, err := http.NewRequestWithContext(ctx, method, e.rest+path, bytes.NewBufferString(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("api-key", token)
	request.Header.Set("content-type", "application/json")
	answer, err := e.client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

// exchange goes through the tutorial over gRPC and calls REST with one token that it got for a credential. It needs the collection
// `other-docs`, which the credential may not see.
//
//	go-client HOST PORT exchange CA REST_URL CREDENTIAL
func exchange(ctx context.Context, host string, port int, ca, rest, credential string) error {
	roots, err := rootsOf(ca)
	if err != nil {
		return err
	}
	http2 := &http.Client{Transport: &http.Transport{TLSClientConfig: roots, ForceAttemptHTTP2: true}}
	tokens := &exchanged{rest: rest, credential: credential, client: http2}
	wrong := &exchanged{rest: rest, credential: credential + "x", client: http2}
	_, err = wrong.get(ctx)
	refused("a wrong credential", "400 invalid_request", err)
	client, err := qdrant.NewClient(&qdrant.Config{
		Host: host, Port: port, UseTLS: true, TLSConfig: roots, SkipCompatibilityCheck: true,
		GrpcOptions: []grpc.DialOption{grpc.WithPerRPCCredentials(tokens)},
	})
	if err != nil {
		return err
	}
	defer client.Close()
	tutorial(ctx, client)
	for _, one := range []struct {
		method, path, body string
		status             int
	}{
		{"PUT", "/collections/search-rest", `{"vectors":{"size":2,"distance":"Dot"}}`, 200},
		{"PUT", "/collections/search-rest/points?wait=true", `{"points":[{"id":1,"vector":[1,0]}]}`, 200},
		{"POST", "/collections/search-rest/points/query", `{"query":[1,0]}`, 200},
		{"POST", "/collections/other-docs/points/query", `{"query":[1,0]}`, 403},
		{"PUT", "/collections/other-rest", `{"vectors":{"size":2,"distance":"Dot"}}`, 403},
		{"DELETE", "/collections/search-rest", "", 200},
	} {
		status, text, err := tokens.call(ctx, one.method, one.path, one.body)
		say("REST "+one.method+" "+one.path, wanted(err, status == one.status, text))
	}
	say("minted", wanted(nil, tokens.minted == 1, tokens.minted))
	return nil
}
