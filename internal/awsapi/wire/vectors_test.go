package wire_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"greengate/internal/awsapi/shapes"
	"greengate/internal/awsapi/shapes/autoscaling"
	"greengate/internal/awsapi/shapes/cloudwatch"
	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/awsapi/shapes/ecs"
	"greengate/internal/awsapi/shapes/elbv2"
	"greengate/internal/awsapi/shapes/iam"
	"greengate/internal/awsapi/shapes/lambda"
	"greengate/internal/awsapi/shapes/logs"
	"greengate/internal/awsapi/shapes/s3"
	"greengate/internal/awsapi/shapes/sns"
	"greengate/internal/awsapi/shapes/sts"
	"greengate/internal/awsapi/wire"
)

//nolint:gochecknoglobals // a flag of the test binary
var update = flag.Bool("update", false, "make the vectors again with botocore")

func services(tb testing.TB) map[string]*wire.Service {
	tb.Helper()
	out := map[string]*wire.Service{}
	for name, m := range map[string]shapes.Service{
		"autoscaling": autoscaling.Model(), "cloudwatch": cloudwatch.Model(), "codedeploy": codedeploy.Model(), "ecs": ecs.Model(),
		"elbv2": elbv2.Model(), "iam": iam.Model(), "lambda": lambda.Model(), "logs": logs.Model(), "s3": s3.Model(), "sns": sns.Model(),
		"sts": sts.Model(),
	} {
		s, err := wire.Compile(m)
		if err != nil {
			tb.Fatal(err)
		}
		out[name] = s
	}
	return out
}

func codecs(tb testing.TB) map[string]wire.Codec {
	tb.Helper()
	cbor, err := wire.NewCBOR()
	if err != nil {
		tb.Fatal(err)
	}
	return map[string]wire.Codec{
		"query": wire.Query{}, "rest-json": wire.RESTJSON{}, "rest-xml": wire.RESTXML{}, "smithy-rpc-v2-cbor": cbor, "json": wire.JSON{Version: "1.1"},
	}
}

// vector is a line of the files that vectors.py makes.
type vector struct {
	Package  string            `json:"package"`
	Protocol string            `json:"protocol"`
	Op       string            `json:"op"`
	Method   string            `json:"method,omitempty"`
	Path     string            `json:"path,omitempty"`
	Query    [][2]string       `json:"query,omitempty"`
	Headers  map[string]string `json:"headers,omitempty"`
	Text     string            `json:"text,omitempty"`
	Base64   []byte            `json:"base64,omitempty"`
	Status   int               `json:"status,omitempty"`
	Want     map[string]any    `json:"want"`
}

func (v *vector) body() []byte {
	if v.Base64 != nil {
		return v.Base64
	}
	return []byte(v.Text)
}

func readVectors(tb testing.TB, file string, least int) []vector {
	tb.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		tb.Fatal(err)
	}
	return parseVectors(tb, data, least)
}

// outputs are random outputs of all operations: those of the vectors, or new ones.
func outputs(t *testing.T) []vector {
	t.Helper()
	if *update {
		return parseVectors(t, botocore(t, nil, "make"), 400)
	}
	return readVectors(t, "answers.jsonl", 400)
}

func parseVectors(tb testing.TB, data []byte, least int) []vector {
	tb.Helper()
	var out []vector
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.UseNumber()
		d.DisallowUnknownFields()
		var v vector
		if err := d.Decode(&v); err != nil {
			tb.Fatal(err)
		}
		out = append(out, v)
	}
	if lines.Err() != nil || len(out) < least {
		tb.Fatalf("%d vectors, want %d at least (%v)", len(out), least, lines.Err())
	}
	return out
}

// request is what a server makes of what a client sends.
func (v *vector) request(tb testing.TB, s *wire.Service) *wire.Request {
	tb.Helper()
	// The query string of the path comes first: botocore leaves it there.
	u, err := url.Parse(v.Path)
	if err != nil {
		tb.Fatalf("%s: %v", v.Path, err)
	}
	r := &wire.Request{Method: v.Method, Path: u.EscapedPath(), Query: u.Query(), Header: http.Header{}, Body: v.body()}
	for _, q := range v.Query {
		r.Query.Add(q[0], q[1])
	}
	for name, value := range v.Headers {
		r.Header.Set(name, value)
	}
	switch v.Protocol {
	case "query":
		if r.Query, err = wire.ParseForm(string(r.Body)); err != nil {
			tb.Fatal(err)
		}
	case "rest-json", "rest-xml":
		op, labels := s.Match(r)
		if op == nil || op.Name != v.Op {
			tb.Fatalf("%s %s: matched %v", v.Method, v.Path, op)
		}
		r.Labels = labels
	}
	return r
}

// TestDecode_botocore decodes what botocore sends, every operation of every service in each of its protocols.
func TestDecode_botocore(t *testing.T) {
	t.Parallel()
	all, codec := services(t), codecs(t)
	seen := map[string]bool{}
	for _, v := range readVectors(t, "requests.jsonl", 500) {
		seen[v.Package+v.Op] = true
		t.Run(v.Package+"/"+v.Op+"/"+v.Protocol, func(t *testing.T) {
			t.Parallel()
			op := all[v.Package].Find(v.Op)
			into := reflect.New(op.Input)
			if err := codec[v.Protocol].Decode(op, v.request(t, all[v.Package]), into.Interface()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(normal(v.Want), plain(t, into)); diff != "" {
				t.Errorf("%s %s %q (-sent +decoded):\n%s", v.Method, v.Path, v.body(), diff)
			}
		})
	}
	for name, s := range all {
		for _, op := range s.Operations {
			if op.Input != nil && !seen[name+op.Name] {
				t.Errorf("no vector for %s of %s", op.Name, name)
			}
		}
	}
}

// plain is the value of a structure as vectors.py writes it.
func plain(tb testing.TB, v reflect.Value) any {
	tb.Helper()
	v = v.Elem()
	streams := map[string]any{}
	for field, value := range v.Fields() {
		if body, ok := reflect.TypeAssert[io.ReadCloser](value); ok {
			b, err := io.ReadAll(body)
			if err != nil {
				tb.Fatal(err)
			}
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			streams[name] = base64.StdEncoding.EncodeToString(b)
			value.SetZero()
		}
	}
	b, err := json.Marshal(v.Interface())
	if err != nil {
		tb.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	out := map[string]any{}
	if err := d.Decode(&out); err != nil {
		tb.Fatal(err)
	}
	maps.Copy(out, streams)
	return normal(out)
}

// normal makes numbers comparable and leaves out what is empty: not all protocols tell empty from absent.
func normal(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, err := v.Float64()
		if err == nil && f == float64(int64(f)) {
			return int64(f)
		}
		return f
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			if value = normal(value); !empty(value) {
				out[name] = value
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = normal(v[i])
		}
		return out
	}
	return v
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// structure makes the output that a vector speaks of.
func (v *vector) structure(tb testing.TB, typ reflect.Type) reflect.Value {
	tb.Helper()
	into := reflect.New(typ)
	members := maps.Clone(v.Want)
	for field, value := range into.Elem().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if text, ok := members[name].(string); ok && field.Type == reflect.TypeFor[io.ReadCloser]() {
			b, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				tb.Fatal(err)
			}
			value.Set(reflect.ValueOf(io.NopCloser(bytes.NewReader(b))))
			delete(members, name)
		}
	}
	b, err := json.Marshal(members)
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(b, into.Interface()); err != nil {
		tb.Fatal(err)
	}
	return into
}

// encode writes the output of a vector as an answer.
func (v *vector) encode(tb testing.TB, s *wire.Service, c wire.Codec) vector {
	tb.Helper()
	op := s.Find(v.Op)
	r, err := c.Encode(op, v.structure(tb, op.Output).Interface(), "the-request-id")
	if err != nil {
		tb.Fatalf("%s %s: %v", v.Package, v.Op, err)
	}
	if r.Stream != nil {
		if r.Body, err = io.ReadAll(r.Stream); err != nil {
			tb.Fatal(err)
		}
	}
	out := vector{Package: v.Package, Protocol: v.Protocol, Op: v.Op, Status: r.Status, Headers: map[string]string{}, Want: v.Want}
	for name, values := range r.Header {
		out.Headers[name] = strings.Join(values, ",")
	}
	if json.Valid(r.Body) || bytes.HasPrefix(r.Body, []byte("<")) {
		out.Text = string(r.Body)
	} else {
		out.Base64 = r.Body
	}
	return out
}

// TestEncode_vectors compares what the codecs write with what botocore's parser read once.
func TestEncode_vectors(t *testing.T) {
	t.Parallel()
	if *update {
		t.Skip("the vectors are being made")
	}
	all, codec := services(t), codecs(t)
	for _, v := range readVectors(t, "answers.jsonl", 400) {
		got := v.encode(t, all[v.Package], codec[v.Protocol])
		if diff := cmp.Diff(v, got); diff != "" {
			t.Errorf("%s %s %s (-parsed by botocore +now):\n%s", v.Package, v.Protocol, v.Op, diff)
		}
	}
}

// botocore runs vectors.py, or skips.
func botocore(t *testing.T, in io.Reader, args ...string) []byte {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "python3", "-c", "import botocore; print(botocore.__version__)").Output()
	if err != nil {
		t.Skipf("botocore is not installed, its parser is not asked: %v", err)
	}
	if version := strings.TrimSpace(string(out)); version != "1.43.11" {
		t.Skipf("botocore %s has other models than 1.43.11, from which the shapes were made", version)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "python3", append([]string{"testdata/vectors.py"}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("vectors.py: %v\n%s", err, stderr.Bytes())
	}
	return stdout.Bytes()
}

// TestEncode_botocore lets botocore's parser read what the codecs write.
func TestEncode_botocore(t *testing.T) {
	t.Parallel()
	all, codec := services(t), codecs(t)
	var answers []vector
	var lines, golden bytes.Buffer
	seen := map[string]bool{}
	for _, v := range outputs(t) {
		a := v.encode(t, all[v.Package], codec[v.Protocol])
		answers = append(answers, a)
		seen[v.Package+v.Op] = true
		line := map[string]any{"package": a.Package, "protocol": a.Protocol, "op": a.Op, "status": a.Status, "headers": a.Headers, "body": a.body()}
		for b, value := range map[*bytes.Buffer]any{&lines: line, &golden: a} {
			if err := json.NewEncoder(b).Encode(value); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, s := range all {
		for _, op := range s.Operations {
			if op.Output != nil && op.Name != "GetBucketLocation" && !seen[name+op.Name] {
				t.Errorf("no vector for %s of %s", op.Name, name)
			}
		}
	}
	found := json.NewDecoder(bytes.NewReader(botocore(t, &lines, "parse")))
	found.UseNumber()
	for _, a := range answers {
		var f struct {
			Error     any            `json:"error"`
			RequestID string         `json:"request_id"`
			Found     map[string]any `json:"found"`
		}
		if err := found.Decode(&f); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(normal(a.Want), normal(f.Found)); diff != "" || f.Error != nil {
			t.Errorf("%s %s %s: %s\n(-encoded +parsed by botocore, error %v):\n%s", a.Package, a.Protocol, a.Op, a.body(), f.Error, diff)
		}
		if a.Protocol == "query" && f.RequestID != "the-request-id" {
			t.Errorf("%s %s: request id %q", a.Package, a.Op, f.RequestID)
		}
	}
	if *update && !t.Failed() {
		if err := os.WriteFile("testdata/answers.jsonl", golden.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
