// A strict HTTP client: Go's net/http. Reads requests from standard input, one a line, fields apart by tabs:
// id, method, URL, key, extra header, body size, "sized" or "streamed", "plain", "deep" or
// "naming". STRICT_SECONDS in the environment is the time of a request, 20 when unset.
// Answers with a line each: id, status (or "error"), text in base64.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

func body(size int, kind string) []byte {
	made := bytes.Repeat([]byte(" "), size)
	if kind == "deep" {
		for i := 0; i < 200 && i < size; i++ {
			made[i] = '['
		}
	} else if kind == "naming" {
		copy(made, `{"lookup_from":{"collection":"b"}}`)
	} else if size >= 2 {
		copy(made, "{}")
	}
	return made
}

type unsized struct{ io.Reader }

func main() {
	seconds, _ := strconv.Atoi(os.Getenv("STRICT_SECONDS"))
	if seconds == 0 {
		seconds = 20
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	if os.Args[1] == "2" {
		transport.ForceAttemptHTTP2 = true
	} else {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	client := &http.Client{Transport: transport, Timeout: time.Duration(seconds) * time.Second}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		field := strings.Split(lines.Text(), "\t")
		size, _ := strconv.Atoi(field[5])
		var content io.Reader
		if size > 0 {
			content = bytes.NewReader(body(size, field[7]))
			if field[6] == "streamed" {
				content = unsized{content}
			}
		}
		request, _ := http.NewRequest(field[1], field[2], content)
		if field[3] != "" {
			request.Header.Set("api-key", field[3])
		}
		if name, value, found := strings.Cut(field[4], ": "); found {
			request.Header.Set(name, value)
		}
		status, text := "error", ""
		answer, err := client.Do(request)
		if err != nil {
			text = err.Error()
		} else {
			read, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil {
				text = "body: " + err.Error()
			} else {
				status, text = strconv.Itoa(answer.StatusCode), string(read)
			}
		}
		fmt.Printf("%s\t%s\t%s\n", field[0], status, base64.StdEncoding.EncodeToString([]byte(text)))
	}
}
