package scenario

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/websocket"
)

const docs = "../../docs/scenarios.md"

// TestDocs_reference: the reference in docs/scenarios.md is what the schema says.
func TestDocs_reference(t *testing.T) {
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- reference:begin -->\n", "<!-- reference:end -->"
	before, rest, _ := strings.Cut(string(text), begin)
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatalf("%s has lost its marks", docs)
	}
	want := before + begin + reference(t) + end + after
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s does not say what the schema says: run this test with -update", docs)
	}
	if err := os.WriteFile(docs, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// reference prints every mapping of the schema as a table.
func reference(t *testing.T) string {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	defs, _ := doc["$defs"].(map[string]any)
	var b strings.Builder
	table := func(title string, object any) {
		m, _ := object.(map[string]any)
		properties, _ := m["properties"].(map[string]any)
		if len(properties) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n### %s\n\n| key | what |\n|---|---|\n", title)
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			p, _ := properties[name].(map[string]any)
			what, _ := p["description"].(string)
			if what == "" {
				what = "a text"
			}
			if enum, ok := p["enum"].([]any); ok {
				what += " One of " + strings.Trim(fmt.Sprint(enum), "[]") + "."
			}
			fmt.Fprintf(&b, "| `%s` | %s |\n", name, what)
		}
	}
	table("The file", doc)
	table("A step", defs["step"])
	for _, d := range []struct{ name, title string }{
		{"auth", "`auth`"},
		{"capture", "`capture` with a secret"},
		{"compare", "`compare` as a mapping"},
		{"expectRelease", "`expect_release`"},
		{"grpc", "`grpc` as a mapping"},
		{"part", "`multipart` with a file"},
		{"retry", "`retry`"},
		{"run", "`run`"},
		{"secret", "`secrets` as a mapping"},
		{"tls", "`tls`"},
		{"websocket", "`websocket`"},
	} {
		if defs[d.name] == nil {
			t.Errorf("the schema has no %s", d.name)
		}
		table(d.title, defs[d.name])
	}
	return b.String() + "\n"
}

// TestSchema_described: an editor can say what every key is for.
func TestSchema_described(t *testing.T) {
	var doc map[string]any
	if err := json.Unmarshal(Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	defs, _ := doc["$defs"].(map[string]any)
	for _, object := range []any{doc, defs["step"], defs["compare"], defs["run"], defs["tls"], defs["retry"], defs["websocket"], defs["grpc"]} {
		m, _ := object.(map[string]any)
		properties, _ := m["properties"].(map[string]any)
		for name, p := range properties {
			if what, _ := p.(map[string]any)["description"].(string); what == "" {
				t.Errorf("%s has no description", name)
			}
		}
	}
}

// TestDocs_cookbook runs the scenarios of the cookbook; everything before it is loaded at least.
func TestDocs_cookbook(t *testing.T) {
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	before, cookbook, _ := strings.Cut(string(text), "## Cookbook")
	for _, content := range scenariosIn(before) {
		load(t, content)
	}
	web, calls := bookshop(), (&shop{}).server(t, shopOptions{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isGRPC(r.Header.Get("Content-Type")) {
			calls.ServeHTTP(w, r)
			return
		}
		web.ServeHTTP(w, r)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	recipes := scenariosIn(cookbook)
	if len(recipes) < 9 {
		t.Fatalf("the cookbook has %d recipes", len(recipes))
	}
	for _, content := range recipes {
		dir := t.TempDir()
		t.Chdir(dir)
		for name, c := range map[string]string{"check.yaml": content, "picture.bin": "\x89PNG picture"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(c), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Load("check.yaml")
		if err != nil {
			t.Fatalf("%v in\n%s", err, content)
		}
		want(t, s.Run(t.Context(), Options{BaseURL: server.URL, Getenv: environment}), Pass, "")
	}
}

// scenariosIn are the YAML blocks of a document that are scenarios.
func scenariosIn(text string) []string {
	var all []string
	for i, block := range strings.Split(text, "```") {
		if content, ok := strings.CutPrefix(block, "yaml\n"); ok && i%2 == 1 && strings.HasPrefix(content, "version: 1\n") {
			all = append(all, content)
		}
	}
	return all
}

// bookshop is the service of the cookbook.
func bookshop() http.Handler {
	mux := http.NewServeMux()
	say := func(w http.ResponseWriter, code int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v)
	}
	type object map[string]any
	files := map[string][]byte{}
	looked := 0
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, _ *http.Request) { say(w, 200, object{"token": "t-12345678"}) })
	mux.HandleFunc("POST /cart", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t-12345678" {
			say(w, 401, object{})
			return
		}
		say(w, 201, object{"id": "c1", "items": []any{object{"item": "book"}}})
	})
	mux.HandleFunc("DELETE /cart/c1", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	mux.HandleFunc("POST /jobs", func(w http.ResponseWriter, _ *http.Request) { say(w, 200, object{"id": 7}) })
	mux.HandleFunc("GET /jobs/7", func(w http.ResponseWriter, _ *http.Request) {
		looked++
		say(w, 200, object{"state": map[bool]string{true: "done", false: "running"}[looked > 2]})
	})
	mux.HandleFunc("POST /files", func(w http.ResponseWriter, r *http.Request) {
		f, header, err := r.FormFile("picture")
		if err != nil || header.Header.Get("Content-Type") != "image/png" || r.FormValue("title") != "A picture" {
			say(w, 400, object{})
			return
		}
		content, _ := io.ReadAll(f)
		files["f1"] = content
		sum := sha256.Sum256(content)
		say(w, 200, object{"id": "f1", "sha256": hex.EncodeToString(sum[:])})
	})
	mux.HandleFunc("GET /files/f1", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		_, _ = io.Copy(w, bytes.NewReader(files["f1"]))
	})
	mux.HandleFunc("POST /graphql", func(w http.ResponseWriter, _ *http.Request) {
		say(w, 200, object{"data": object{"book": object{"title": "Emma"}}})
	})
	mux.Handle("/chat", websocket.Handler(func(c *websocket.Conn) {
		var m struct{ Say string }
		if websocket.JSON.Receive(c, &m) == nil {
			_ = websocket.JSON.Send(c, object{"heard": m.Say})
		}
	}))
	mux.HandleFunc("GET /home", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	books := []object{{"id": 1, "title": "Emma"}, {"id": 2, "title": "Ulysses"}}
	mux.HandleFunc("GET /books", func(w http.ResponseWriter, _ *http.Request) { say(w, 200, books) })
	mux.HandleFunc("GET /books/1", func(w http.ResponseWriter, _ *http.Request) { say(w, 200, books[0]) })
	mux.HandleFunc("GET /books/2", func(w http.ResponseWriter, _ *http.Request) { say(w, 200, books[1]) })
	return mux
}

// TestExample: the check of examples/shop has no fault.
func TestExample(t *testing.T) {
	s, err := Load("../../examples/shop/checks/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if s.expect == nil && s.steps[0].name != expectName {
		t.Error("the example does not prove which release answered")
	}
}
