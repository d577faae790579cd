package scenario

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// TestGRPC: what a call sends and sees, by reflection.
func TestGRPC(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string]string{
		"unary":          `{grpc: shop.v1.Catalogue/GetBook, json: {id: 1}, assert: [status == "OK" and code == 0, message == "", body.title == "Emma", 'body.id == "1"']}`,
		"no message":     `{grpc: shop.v1.Catalogue/GetBook, assert: ['body.id == "0"']}`,
		"names":          `{grpc: shop.v1.Catalogue/GetBook, json: {format: HARDBACK, like: {in_stock: 1}}, assert: [body.inStock == 0, 'body.format == "FORMAT_UNKNOWN"', 'body.sequels == []', 'not has(body, "published")']}`,
		"exact":          `{grpc: shop.v1.Catalogue/GetBook, json: {id: 9007199254740993}, assert: ['body.id == "9007199254740993"']}`,
		"template":       `{grpc: shop.v1.Catalogue/GetBook, json: {id: "${{ vars.n }}"}, assert: ['body.id == "7"']}`,
		"whole template": `{grpc: shop.v1.Catalogue/GetBook, json: "${{ vars.message }}", assert: ['body.id == "8"']}`,
		"status":         `{grpc: shop.v1.Catalogue/GetBook, json: {id: 404}, assert: [status == "NOT_FOUND" and code == 5, 'message == "no such book: “404” % done"']}`,
		"odd status":     `{grpc: shop.v1.Catalogue/GetBook, json: {id: 55}, assert: [status == "CODE_55", code == 55]}`,
		"code alone":     `{grpc: shop.v1.Catalogue/GetBook, json: {id: 404}, assert: [code == 5]}`,
		"metadata":       `{grpc: shop.v1.Catalogue/GetBook, headers: {X-Own: "${{ vars.n }}"}, assert: ['headers["x-own"] == "7" and trailers["x-cost"] == "7"']}`,
		"auth":           `{grpc: shop.v1.Catalogue/GetBook, json: {id: 16}, auth: {bearer: t-7}, assert: [status == "OK"]}`,
		"stream":         `{grpc: shop.v1.Catalogue/ListBooks, json: {id: 3}, assert: ['map(body, .id) == ["1", "2", "3"]', 'trailers["x-cost"] == "7"']}`,
		"empty stream":   `{grpc: shop.v1.Catalogue/ListBooks, assert: [len(body) == 0]}`,
		"broken stream":  `{grpc: shop.v1.Catalogue/ListBooks, json: {id: 404}, assert: [status == "NOT_FOUND", len(body) == 404]}`,
		"client stream":  `{grpc: shop.v1.Catalogue/AddBooks, json: [{id: 1}, {id: 2}], assert: ['body.id == "2"']}`,
		"empty client":   `{grpc: shop.v1.Catalogue/AddBooks, assert: ['body.id == "0"']}`,
		"both streams":   `{grpc: shop.v1.Catalogue/Chat, json: [{id: 1}, {id: 2}], assert: ['map(body, .id) == ["101", "102"]']}`,
		"capture":        `{name: a, grpc: shop.v1.Catalogue/GetBook, json: {id: 3}, capture: {id: body.id}}, {grpc: shop.v1.Catalogue/GetBook, json: {id: "${{ steps.a.id }}"}, assert: ['body.id == "3"']}`,
		"retry":          `{grpc: shop.v1.Catalogue/GetBook, json: {id: 5}, retry: {timeout: 30s, interval: 1ms}}`,
		"repeat":         `{grpc: shop.v1.Catalogue/GetBook, repeat: 3, assert: ['len(latencies) == 3 and p95(latencies) < duration("1m") and latency > duration("0s")']}`,
		"schema":         `{grpc: shop.v1.Catalogue/GetBook, schema: {required: [id, title]}}`,
		"mapping":        `{grpc: {method: shop.v1.Catalogue/GetBook, url: "${{ base_url }}/"}, json: {id: 2}, assert: ['url endsWith "/shop.v1.Catalogue/GetBook"']}`,
		"read":           `{grpc: shop.v1.Catalogue/GetBook, effect: read}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, shopOptions{})
			want(t, s.run(t, "version: 1\nvars: {n: 7, message: {id: 8}}\nheaders: {content-type: text/x}\nsteps: ["+steps+"]\n"), Pass, "")
			if trace := strings.Join(s.seen.Get("traceparent"), ""); name != "client stream" && name != "both streams" && name != "empty client" && len(trace) != 55 {
				t.Errorf("traceparent %q", trace)
			}
		})
	}
}

// TestGRPC_not: what must not pass.
func TestGRPC_not(t *testing.T) {
	t.Parallel()
	s := newShop(t, shopOptions{})
	web := newService(t)
	for _, c := range []struct {
		name, step string
		verdict    Verdict
		message    string
	}{
		{"implicit status", `{grpc: shop.v1.Catalogue/GetBook, json: {id: 404}}`, Fail, `status == "OK": "NOT_FOUND" against "OK"`},
		{"implicit beside others", `{grpc: shop.v1.Catalogue/GetBook, json: {id: 404}, assert: ['message != ""']}`, Fail, `status == "OK"`},
		{"no message", `{grpc: shop.v1.Catalogue/GetBook, json: {id: 404}, assert: [code == 5, body.id != "1"]}`, Fail, "there is no message; the status is NOT_FOUND"},
		{"status is no number", `{grpc: shop.v1.Catalogue/GetBook, assert: [status == 0]}`, Fail, "a text is compared with a number"},
		{"one part is false", `{grpc: shop.v1.Catalogue/GetBook, json: {id: 404}, assert: [code == 5 and status != "OK" and status == "OK"]}`, Fail, `"NOT_FOUND" against "OK"`},
		{"missing field", `{grpc: shop.v1.Catalogue/GetBook, assert: ['body.titel != "x"']}`, Fail, `did you mean "title"`},
		{"unset message", `{grpc: shop.v1.Catalogue/GetBook, assert: ['body.published != "x"']}`, Fail, `no field "published"`},
		{"64 bits", `{grpc: shop.v1.Catalogue/GetBook, assert: ['body.id != 5']}`, Fail, "a text is compared with a number"},
		{"no trailer", `{grpc: shop.v1.Catalogue/GetBook, assert: ['trailers["x-nothing"] != "1"']}`, Fail, "there is no header"},
		{"schema", `{grpc: shop.v1.Catalogue/GetBook, schema: {required: [price]}}`, Fail, "missing property 'price'"},
		{"service", `{grpc: shop.v1.Catalogs/GetBook}`, Error, `the server's reflection knows no service "shop.v1.Catalogs" (did you mean "shop.v1.Catalogue"?)`},
		{"method", `{grpc: shop.v1.Catalogue/GetBok}`, Error, `the service shop.v1.Catalogue has no method "GetBok" (did you mean "GetBook"?)`},
		{"field", `{grpc: shop.v1.Catalogue/GetBook, json: {idd: 1}}`, Error, `shop.v1.GetBookRequest has no field "idd" (did you mean "id"?)`},
		{"inner field", `{grpc: shop.v1.Catalogue/GetBook, json: {like: {sequels: [{idd: 1}]}}}`, Error, `shop.v1.Book has no field "idd"`},
		{"kind of field", `{grpc: shop.v1.Catalogue/GetBook, json: {id: x}}`, Error, "json is no shop.v1.GetBookRequest"},
		{"stream of one", `{grpc: shop.v1.Catalogue/AddBooks, json: {id: 1}}`, Error, "AddBooks takes a stream: give it a list of messages"},
		{"one of a stream", `{grpc: shop.v1.Catalogue/GetBook, json: [{id: 1}]}`, Error, "GetBook takes one message, not a list"},
		{"no end", `{grpc: shop.v1.Catalogue/GetBook, json: {id: 99}, timeout: 300ms}`, Error, "no answer within the step's time limit"},
		{"nobody", `{grpc: {method: shop.v1.Catalogue/GetBook, url: "http://127.0.0.1:1"}}`, Error, "no answer"},
		{"HTTP/1", `{grpc: {method: shop.v1.Catalogue/GetBook, url: "` + web.URL + `"}}`, Error, "no answer"},
		{"no TLS", `{grpc: {method: shop.v1.Catalogue/GetBook, url: "${{ \"https\" + base_url[4:] }}"}}`, Error, "no answer"},
		{"retry ends", `{grpc: shop.v1.Catalogue/GetBook, json: {id: 404}, retry: {attempts: 2, interval: 1ms}}`, Fail, "after 2 attempts"},
		{"repeat one bad", `{grpc: shop.v1.Catalogue/GetBook, json: {id: 5}, repeat: 4, assert: [status == "UNAVAILABLE"]}`, Fail, "UNAVAILABLE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			own := s
			if strings.HasPrefix(c.name, "repeat") {
				own = newShop(t, shopOptions{})
			}
			want(t, own.run(t, "version: 1\nsteps: ["+c.step+"]\n"), c.verdict, c.message)
		})
	}
}

// TestGRPC_descriptors: from where a scenario knows the messages.
func TestGRPC_descriptors(t *testing.T) {
	t.Parallel()
	file, err := filepath.Abs(shopFile)
	if err != nil {
		t.Fatal(err)
	}
	const step = "steps: [{grpc: shop.v1.Catalogue/GetBook, json: {id: 3}, assert: ['body.id == \"3\"']}]\n"
	for _, c := range []struct {
		reflection, content string
		verdict             Verdict
		message             string
	}{
		{"v1alpha", step, Pass, ""},
		{"none", step, Error, "the server has no reflection; give the scenario `descriptors`"},
		{"none", "descriptors: " + file + "\n" + step, Pass, ""},
		{"none", "steps: [{grpc: {method: shop.v1.Catalogue/GetBook, descriptors: " + file + "}}]\n", Pass, ""},
		{"", "expect_release: {grpc: shop.v1.Catalogue/GetBook, field: body.title}\n" + step, Fail, `(body.title) == release.version: "Emma" against "v2"`},
		{"", "expect_release: {header: X-Release}\n" + step, Pass, ""},
		{"", "expect_release: {header: X-Own}\n" + step, Fail, "another release answered"},
	} {
		want(t, newShop(t, shopOptions{reflection: c.reflection}).run(t, "version: 1\n"+c.content), c.verdict, c.message)
	}
	want(t, newShop(t, shopOptions{title: "v2"}).run(t, "version: 1\nexpect_release: {grpc: shop.v1.Catalogue/GetBook, field: body.title}\n"+step), Pass, "")
}

// TestGRPC_tls: calls keep what a scenario says of TLS.
func TestGRPC_tls(t *testing.T) {
	t.Parallel()
	web := httptest.NewUnstartedServer(nil) // for its certificate
	web.StartTLS()
	t.Cleanup(web.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newShop(t, shopOptions{tls: &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12}})
	const step = "steps: [{grpc: shop.v1.Catalogue/GetBook, assert: [status == 'OK', '\"example.com\" in certificate.dns_names']}]\n"
	want(t, s.run(t, "version: 1\n"+step), Error, "certificate")
	want(t, s.run(t, "version: 1\ntls: {ca: "+ca+"}\n"+step), Pass, "")
	want(t, s.run(t, "version: 1\ntls: {ca: "+ca+", server_name: other.test}\n"+step), Error, "other.test")
	want(t, s.run(t, "version: 1\ntls: {insecure: true}\n"+step), Pass, "")
}

// TestGRPC_compare: what both releases answer is held against each other.
func TestGRPC_compare(t *testing.T) {
	t.Parallel()
	green, same := newShop(t, shopOptions{}), newShop(t, shopOptions{})
	other := newShop(t, shopOptions{title: "Persuasion"})
	for _, c := range []struct {
		step, blue string
		verdict    Verdict
		message    string
	}{
		{"{grpc: shop.v1.Catalogue/ListBooks, effect: read, json: {id: 2}}", same.url, Pass, ""},
		{"{grpc: shop.v1.Catalogue/GetBook, effect: read}", other.url, Fail, `body.title is the same as blue's: "Emma" against "Persuasion"`},
		{"{grpc: shop.v1.Catalogue/ListBooks, effect: read, json: {id: 2}}", other.url, Fail, `body[0].title is the same as blue's`},
		{"{grpc: shop.v1.Catalogue/GetBook, effect: read, json: {id: 5}}", newShop(t, shopOptions{}).url, Fail, `status is the same as blue's: "OK" against "UNAVAILABLE"`},
		{"{grpc: shop.v1.Catalogue/GetBook, effect: read}", "http://127.0.0.1:1", Error, "compare with blue"},
	} {
		s := load(t, "version: 1\ncompare: blue\nsteps: ["+c.step+"]\n")
		want(t, s.Run(t.Context(), Options{BaseURL: green.url, CompareURL: c.blue}), c.verdict, c.message)
	}
}

// TestGRPC_wire: answers that are not as gRPC has them.
func TestGRPC_wire(t *testing.T) {
	t.Parallel()
	book := framed([]byte("\x12\x04Emma"))
	for name, c := range map[string]struct {
		kind, status string
		code         int
		body         []byte
		alone        bool // trailers as the head
		message      string
	}{
		"good":            {grpcType, "0", 200, book, false, ""},
		"sub-format":      {grpcType + "+proto", "0", 200, book, false, ""},
		"not gRPC":        {"text/html", "", 503, []byte("<h1>busy\x1b[2J"), false, `"UNAVAILABLE" against "OK"`},
		"good page":       {"text/html", "0", 200, []byte("<h1>"), false, `"UNKNOWN" against "OK"`},
		"no such path":    {"text/plain", "", 404, nil, false, `"UNIMPLEMENTED" against "OK"`},
		"gRPC-Web":        {"application/grpc-web", "0", 200, book, false, `"UNKNOWN" against "OK"`},
		"no status":       {grpcType, "", 200, book, false, `"UNKNOWN" against "OK"`},
		"status no code":  {grpcType, "OK", 200, book, false, `"UNKNOWN" against "OK"`},
		"trailers alone":  {grpcType, "7", 200, nil, true, `"PERMISSION_DENIED" against "OK"`},
		"no message":      {grpcType, "0", 200, nil, true, `"INTERNAL" against "OK"`},
		"two messages":    {grpcType, "0", 200, append(book, book...), false, `"INTERNAL" against "OK"`},
		"cut message":     {grpcType, "0", 200, book[:8], false, `"INTERNAL" against "OK"`},
		"cut head":        {grpcType, "0", 200, book[:3], false, `"INTERNAL" against "OK"`},
		"compressed":      {grpcType, "0", 200, append([]byte{1}, book[1:]...), false, `"INTERNAL" against "OK"`},
		"another message": {grpcType, "0", 200, framed([]byte("\xff\xff")), false, `"INTERNAL" against "OK"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				if c.alone {
					w.Header().Set("Grpc-Status", c.status)
					return
				}
				w.WriteHeader(c.code)
				_, _ = w.Write(c.body)
				if c.status != "" {
					w.Header().Set(http.TrailerPrefix+"Grpc-Status", c.status)
				}
			}))
			web.Config.Protocols = new(http.Protocols)
			web.Config.Protocols.SetUnencryptedHTTP2(true)
			web.Start()
			t.Cleanup(web.Close)
			file, err := filepath.Abs(shopFile)
			if err != nil {
				t.Fatal(err)
			}
			r := load(t, "version: 1\ndescriptors: "+file+"\nsteps: [{grpc: shop.v1.Catalogue/GetBook}]\n").Run(t.Context(), Options{BaseURL: web.URL})
			verdict := Pass
			if c.message != "" {
				verdict = Fail
			}
			want(t, r, verdict, c.message)
		})
	}
}

// TestReflectService: servers tell all files at once, or one at a time.
func TestReflectService(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"a.proto": `name: "a.proto" dependency: "b.proto" dependency: "google/protobuf/empty.proto" service { name: "A" }`,
		"b.proto": `name: "b.proto" dependency: "c.proto"`,
		"c.proto": `name: "c.proto"`,
		"x.proto": `name: "x.proto" dependency: "y.proto" service { name: "X" }`,
	}
	const notFound = "\x3a\x06\x08\x05\x12\x02no"
	asked := 0
	tell := func(requests ...[]byte) (*reflectionAnswer, error) {
		a := &reflectionAnswer{}
		for _, r := range requests {
			asked++
			name := string(r[2:])
			switch name {
			case "A", "X":
				name = strings.ToLower(name) + ".proto"
			case "*":
				return a, a.add([]byte("\x32\x09\x0a\x07\x0a\x05shopB"))
			}
			f := &descriptorpb.FileDescriptorProto{}
			if files[name] == "" {
				return a, a.add([]byte(notFound))
			}
			if err := prototext.Unmarshal([]byte(files[name]), f); err != nil {
				return nil, err
			}
			content, err := proto.Marshal(f)
			if err != nil {
				return nil, err
			}
			inner := protowire.AppendBytes(protowire.AppendTag(nil, inFilesFile, protowire.BytesType), content)
			if err := a.add(protowire.AppendBytes(protowire.AppendTag(nil, answerFiles, protowire.BytesType), inner)); err != nil {
				return nil, err
			}
		}
		return a, nil
	}
	if d, err := reflectService("A", tell); err != nil || asked != 3 || d.services()[0] != "A" {
		t.Errorf("after %d questions %v", asked, err)
	}
	for service, message := range map[string]string{"X": "the server's reflection: no", "shopA": `knows no service "shopA" (did you mean "shopB"?)`} {
		if _, err := reflectService(service, tell); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: %v", service, err)
		}
	}
	same := func(...[]byte) (*reflectionAnswer, error) { return tell(reflectionRequest(askFileBySymbol, "X")) }
	if _, err := reflectService("X", same); err == nil || !strings.Contains(err.Error(), `lacks "y.proto"`) {
		t.Errorf("a file that never comes: %v", err)
	}
}

// FuzzGRPCAnswer: whatever a server sends, a call ends, and only what is whole is OK.
func FuzzGRPCAnswer(f *testing.F) {
	d := shopDescriptors(f)
	m, err := d.find("shop.v1.Catalogue", "GetBook")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(framed([]byte("\x12\x04Emma")), "0", true)
	f.Add([]byte{0, 0, 0, 0, 9, 1}, "0", false)
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff}, "-1", true)
	f.Add([]byte(nil), "", true)
	f.Fuzz(func(t *testing.T, raw []byte, code string, inTrailer bool) {
		res := &http.Response{StatusCode: 200, Status: "200 OK", Header: http.Header{"Content-Type": {grpcType}}, Trailer: http.Header{}}
		if inTrailer {
			res.Trailer.Set("Grpc-Status", code)
		} else {
			res.Header.Set("Grpc-Status", code)
		}
		r := &reply{response: res, status: statusOf(res, raw)}
		r.read(m, raw)
		_, bad := r.body.(unreadable)
		if r.status.Code == codeOK && (bad || code == "" || !json.Valid(r.json)) {
			t.Errorf("%q with the code %q is OK: %v", raw, code, r.body)
		}
	})
}

// FuzzDescriptors: bytes are descriptors that can be used, or refused.
func FuzzDescriptors(f *testing.F) {
	for _, file := range []string{shopFile, "testdata/lacking.binpb"} {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Add([]byte("version: 1"))
	f.Fuzz(func(t *testing.T, content []byte) {
		d, err := parseDescriptors(content)
		if err != nil {
			return
		}
		for _, name := range d.services() {
			if _, err := d.find(name, "no such method"); err == nil {
				t.Errorf("%s has every method", name)
			}
		}
	})
}

// FuzzReflection: whatever a server says of itself, it is descriptors or an error.
func FuzzReflection(f *testing.F) {
	content, err := os.ReadFile(shopFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append([]byte{0x22, 0xff, 0x01}, content...))
	f.Add([]byte("\x3a\x06\x08\x05\x12\x02no"))
	f.Add([]byte("\x32\x07\x0a\x05\x0a\x03abc"))
	f.Fuzz(func(t *testing.T, message []byte) {
		d, err := reflectService("shop.v1.Catalogue", func(...[]byte) (*reflectionAnswer, error) {
			a := &reflectionAnswer{}
			return a, a.add(message)
		})
		if (d == nil) == (err == nil) {
			t.Errorf("%v and %v", d, err)
		}
	})
}

// TestGRPC_secrets: metadata, messages, statuses and trailers are masked like all evidence.
func TestGRPC_secrets(t *testing.T) {
	t.Parallel()
	s := newShop(t, shopOptions{title: "hunter2-and more"})
	r := s.run(t, `version: 1
secrets: [PASSWORD]
steps:
  - {grpc: shop.v1.Catalogue/GetBook, auth: {bearer: "${{ secrets.PASSWORD }}"}, json: {like: {title: "${{ secrets.PASSWORD }}"}}, headers: {x-own: "${{ secrets.PASSWORD }}"}}
  - {grpc: shop.v1.Catalogue/GetBook, json: {id: 404}, headers: {authorization: secret-of-a-header}}
`)
	want(t, r, Fail, "NOT_FOUND")
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter2", "aHVudGVyMi", `"Authorization","value":"secret`} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%q is in the result: %s", secret, text)
		}
	}
	first, second := r.Steps[0].Attempts[0], r.Steps[1].Attempts[0]
	if got := first.Response.Body.Text; !strings.Contains(got, `"title":"***"`) || first.Response.GRPC.Name != "OK" || first.Timings.Total <= 0 {
		t.Errorf("evidence %+v, body %s", first.Response, got)
	}
	if got := first.Request.Body.Text; got != `{"like":{"title":"***"}}` || first.Request.URL != s.url+"/shop.v1.Catalogue/GetBook" {
		t.Errorf("request %+v", first.Request)
	}
	if r := second.Response; r.GRPC.Code != 5 || len(r.Trailers) == 0 {
		t.Errorf("evidence %+v", r)
	}
	var page, told strings.Builder
	if err := WriteHTML(&page, Summarize([]Result{r})); err != nil || !strings.Contains(page.String(), "gRPC NOT_FOUND: no such book") {
		t.Errorf("the page lacks the status: %v", err)
	}
	if err := WriteStep(&told, r.Steps[1], false); err != nil || !strings.Contains(told.String(), "GetBook -> NOT_FOUND: no such book") {
		t.Errorf("%v\n%s", err, told.String())
	}
}
