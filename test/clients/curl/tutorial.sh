#!/usr/bin/env bash
# The tutorial with curl: `tutorial.sh steps|stranger`.
#
# `steps` runs every step; `stranger` is started without the CA and tries one call. Each step is one line of JSON on standard
# output; ../steps.ts holds what must stand there. The keys, the CA and the port come from the environment.
set -uo pipefail

url="https://localhost:$REST_PORT"
trust=()
[ -n "${CA:-}" ] && trust=(--cacert "$CA")

# The answer of one request: its body, and the status in the last line. What curl says of its own goes to standard output, too.
ask() {
  local key="$1" method="$2" path="$3" body="${4:-}"
  local more=()
  [ -n "$key" ] && more+=(-H "api-key: $key")
  [ -n "$body" ] && more+=(-H 'content-type: application/json' -d "$body")
  # `${a[@]+...}`: an array without elements is unset to an old bash.
  curl -q -sS --max-time 60 ${trust[@]+"${trust[@]}"} ${more[@]+"${more[@]}"} -X "$method" -w '\n%{http_code}' "$url$path" 2>&1
}

# A text as a string of JSON.
quoted() { printf '"%s"' "$(printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g' | awk 'NR > 1 { printf "\\\\n" } { printf "%s", $0 }')"; }

# Prints what came of a request: a part of its body, or the refusal.
#   show STEP PATTERN KEY METHOD PATH [BODY]
show() {
  local step="$1" pattern="$2" answer status body result
  shift 2
  answer="$(ask "$@")"
  status="${answer##*$'\n'}"
  body="${answer%$'\n'*}"
  if [ "$status" = 200 ]; then
    result="$(printf '%s' "$body" | sed -nE "s/$pattern/\\1/p")"
    printf '{"step":"%s","result":%s}\n' "$step" "${result:-\"done\"}"
  elif [ "$status" = 000 ]; then
    printf '{"step":"%s","code":null,"text":null,"shown":%s}\n' "$step" "$(quoted "$body")"
  else
    local text
    text="$(printf '%s' "$body" | sed -nE 's/.*"error":"([^"]*)".*/\1/p')"
    printf '{"step":"%s","code":%s,"text":%s,"shown":%s}\n' "$step" "$status" "$(quoted "${text:-$body}")" "$(quoted "$body")"
  fi
}

nothing='^$'
names='.*"collections":\[\{"name":("[^"]*")\}\].*'
title='.*"title":("[^"]*").*'
count='.*"count":([0-9]+).*'
query='{"query": [0.8, 0.2, 0.1, 0.1], "limit": 1, "with_payload": true}'
points='[{"id": 1, "vector": [0.9, 0.1, 0.1, 0.2], "payload": {"title": "Dune"}}, {"id": 2, "vector": [0.1, 0.8, 0.3, 0.4], "payload": {"title": "Emma"}}]'
third='[{"id": 3, "vector": [0.2, 0.2, 0.9, 0.1], "payload": {"title": "Ulysses"}}]'
books=/collections/books

if [ "$1" = stranger ]; then
  show 'the CA is not trusted' "$names" "$ADMIN" GET /collections
  exit 0
fi

show 'no key' "$names" '' GET /collections
show 'a wrong key' "$names" wrong GET /collections
show 'an expired token' "$names" "$EXPIRED" GET /collections
show 'admin creates' "$nothing" "$ADMIN" PUT $books '{"vectors": {"size": 4, "distance": "Dot"}}'
show 'admin writes' "$nothing" "$ADMIN" PUT "$books/points?wait=true" "{\"points\": $points}"
show 'admin searches' "$title" "$ADMIN" POST $books/points/query "$query"
show 'reader counts' "$count" "$READER" POST $books/points/count '{}'
show 'reader deletes a point' "$nothing" "$READER" POST $books/points/delete '{"points": [1]}'
show 'token lists' "$names" "$TOKEN" GET /collections | sed -E 's/"result":("[^"]*")/"result":[\1]/'
show 'token searches' "$title" "$TOKEN" POST $books/points/query "$query"
show 'token writes' "$nothing" "$TOKEN" PUT "$books/points?wait=true" "{\"points\": $third}"
show 'token reads another collection' "$count" "$TOKEN" POST /collections/private/points/count '{}'
show 'token names another collection' "$nothing" "$TOKEN" POST $books/points/query '{"query": 1, "lookup_from": {"collection": "private"}}'
show 'token deletes the collection' "$nothing" "$TOKEN" DELETE $books
printf '{"step":"stop"}\n'
read -r _
show 'gateway is away' "$count" "$ADMIN" POST $books/points/count '{}'
printf '{"step":"start"}\n'
read -r _
# As a program that tries again, until the gateway answers.
for _ in $(seq 300); do
  back="$(show 'gateway is back' "$count" "$ADMIN" POST $books/points/count '{}')"
  case "$back" in *'"result"'*) break ;; esac
  sleep 0.2
done
printf '%s\n' "$back"
show 'admin deletes the collection' "$nothing" "$ADMIN" DELETE $books
