package awsapi

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/fxamacker/cbor/v2"

	"greengate/internal/awsapi/shapes/s3"
	"greengate/internal/awsapi/wire"
)

// wireCall is a request of any protocol, signed for a service.
type wireCall struct {
	service, method, path, body string
	headers                     map[string]string
	unsigned                    bool
}

func (e *endpoint) speak(t *testing.T, c wireCall) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), c.method, e.url+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range c.headers {
		r.Header.Set(name, value)
	}
	if !c.unsigned {
		payload := digest(c.body)
		if c.service == "s3" {
			r.Header.Set("X-Amz-Content-Sha256", payload)
		}
		signer{rootKey(), "", c.service, "eu-west-1", time.Now()}.signPayload(r, payload)
	}
	return send(t, r)
}

func headers(pairs ...string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}

const formType = "application/x-www-form-urlencoded; charset=utf-8"

func cborBody(t *testing.T, v any) string {
	t.Helper()
	b, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestDispatch finds each service where its clients look for it, and words each refusal in the caller's protocol.
func TestDispatch(t *testing.T) {
	t.Parallel()
	e, _ := serveStubs(t)
	form := headers("Content-Type", formType)
	rpc := headers("Smithy-Protocol", "rpc-v2-cbor", "Content-Type", "application/cbor", "Accept", "application/cbor")
	target := func(name string) map[string]string {
		return headers("Content-Type", "application/x-amz-json-1.0", "X-Amz-Target", name)
	}
	const granite = "/service/GraniteServiceVersion20100801/operation/"
	for _, c := range []struct {
		name   string
		call   wireCall
		status int
		want   string // in headers or body
	}{
		{"json", wireCall{"ecs", "POST", "/", `{"services":["web"]}`, target("AmazonEC2ContainerServiceV20141113.DescribeServices"), false}, 200, `"serviceName":"web"`},
		{"json 1.0", wireCall{"monitoring", "POST", "/", `{}`, target("GraniteServiceVersion20100801.DescribeAlarms"), false}, 200, "Content-Type: application/x-amz-json-1.0"},
		{"json, wrong type", wireCall{"ecs", "POST", "/", `{"services":"web"}`, target("AmazonEC2ContainerServiceV20141113.DescribeServices"), false}, 400, `{"__type":"SerializationException","message":"services: expected a list, got a string"}`},
		{"json, GET", wireCall{"ecs", "GET", "/", "", target("AmazonEC2ContainerServiceV20141113.DescribeServices"), false}, 400, "UnknownOperationException"},
		{"json, error of the query days", wireCall{"monitoring", "POST", "/", `{}`, target("GraniteServiceVersion20100801.SetAlarmState"), false}, 404, "X-Amzn-Query-Error: ResourceNotFound;Sender"},
		{"query", wireCall{"elasticloadbalancing", "POST", "/", "Action=DescribeLoadBalancers&Version=2015-12-01", form, false}, 200, "<LoadBalancerName>a</LoadBalancerName>"},
		{"query in the URL", wireCall{"sts", "GET", "/?Action=GetCallerIdentity&Version=2011-06-15", "", nil, false}, 200, "<GetCallerIdentityResult>"},
		{"query of CloudWatch", wireCall{"monitoring", "POST", "/", "Action=DescribeAlarms&Version=2010-08-01", form, false}, 200, `<DescribeAlarmsResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/">`},
		{"query, other version", wireCall{"elasticloadbalancing", "POST", "/", "Action=DescribeLoadBalancers&Version=2012-06-01", form, false}, 400, "<Code>InvalidAction</Code>"},
		{"query, no action", wireCall{"iam", "POST", "/", "Version=2010-05-08", form, false}, 400, "<Code>InvalidAction</Code>"},
		{"query, of another service", wireCall{"iam", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", form, false}, 403, "correct service: &#39;sts&#39;"},
		{"query, broken", wireCall{"iam", "POST", "/", "Action=%zz", form, false}, 400, "<Code>MalformedInput</Code>"},
		{"query, wrong type", wireCall{"monitoring", "POST", "/", "Action=PutMetricAlarm&Version=2010-08-01&Period=soon", form, false}, 400, "<Message>Period: expected a value of type integer</Message>"},
		{"query, unsigned", wireCall{"", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", form, true}, 403, "<Code>MissingAuthenticationToken</Code>"},
		{"cbor", wireCall{"monitoring", "POST", granite + "DescribeAlarms", cborBody(t, map[string]any{}), rpc, false}, 200, "Smithy-Protocol: rpc-v2-cbor"},
		{"cbor, nothing out", wireCall{"monitoring", "POST", granite + "PutMetricData", cborBody(t, map[string]any{"Namespace": "n"}), rpc, false}, 200, "Content-Length: 0"},
		{"cbor, no CBOR", wireCall{"monitoring", "POST", granite + "DescribeAlarms", "{}", rpc, false}, 400, "SerializationException"},
		{"cbor, other operation", wireCall{"monitoring", "POST", granite + "Nope", "", rpc, false}, 400, "UnknownOperationException"},
		{"cbor, other service", wireCall{"monitoring", "POST", "/service/Nope/operation/DescribeAlarms", "", rpc, false}, 400, "UnknownOperationException"},
		{"cbor, unsigned", wireCall{"", "POST", granite + "DescribeAlarms", "", rpc, true}, 400, "MissingAuthenticationTokenException"},
		{"lambda", wireCall{"lambda", "GET", "/2015-03-31/functions/?MaxItems=7", "", nil, false}, 200, "hook-7"},
		{"lambda, wrong type", wireCall{"lambda", "GET", "/2015-03-31/functions?MaxItems=all", "", nil, false}, 400, "X-Amzn-Errortype: SerializationException"},
		{"lambda, other method", wireCall{"lambda", "PATCH", "/2015-03-31/functions", "", nil, false}, 404, "X-Amzn-Errortype: UnknownOperationException"},
		{"lambda, unsigned", wireCall{"", "GET", "/2015-03-31/functions", "", nil, true}, 403, "X-Amzn-Errortype: MissingAuthenticationTokenException"},
		{"a bucket called like a version", wireCall{"s3", "GET", "/2015-03-31/functions", "", nil, false}, 404, "<Code>NoSuchKey</Code>"},
		{"s3", wireCall{"s3", "GET", "/b?list-type=2", "", nil, false}, 200, "<ListBucketResult xmlns="},
		{"s3, the older list", wireCall{"s3", "GET", "/b?list-type=1", "", nil, false}, 501, "The operation ListObjects of S3 is not served here."},
		{"s3, subresource", wireCall{"s3", "GET", "/b?list-type=2&versions", "", nil, false}, 501, "<Code>NotImplemented</Code>"},
		{"s3, copy is not put", wireCall{"s3", "PUT", "/b/k", "", headers("X-Amz-Copy-Source", "/b/other"), false}, 501, "The operation CopyObject of S3 is not served here."},
		{"s3, part is not object", wireCall{"s3", "PUT", "/b/k?partNumber=1&uploadId=u", "", nil, false}, 501, "The operation UploadPart of S3 is not served here."},
		{"s3, unsigned", wireCall{"", "GET", "/b/k", "", nil, true}, 403, "<Resource>/b/k</Resource>"},
		{"s3, request ids", wireCall{"s3", "GET", "/b/missing", "", nil, false}, 404, "X-Amz-Id-2: "},
		{"s3, bad XML", wireCall{"s3", "POST", "/b?delete", "<Delete>", nil, false}, 400, "<Code>MalformedXML</Code>"},
		{"s3 with another scope", wireCall{"lambda", "GET", "/b/k", "", nil, false}, 404, "X-Amzn-Errortype: UnknownOperationException"},
		{"scope of another service", wireCall{"ecs", "POST", "/", `{}`, target("Logs_20140328.PutLogEvents"), false}, 400, "correct service: 'logs'"},
		{"form to codedeploy", wireCall{"codedeploy", "POST", "/", "Action=x", form, false}, 400, "<Code>InvalidAction</Code>"},
	} {
		a := e.speak(t, c.call)
		var all bytes.Buffer
		if err := a.header.Write(&all); err != nil {
			t.Fatal(err)
		}
		all.Write(a.body)
		if a.status != c.status || !strings.Contains(all.String(), c.want) || a.requestID == "" {
			t.Errorf("%s: %d, want %d and %q:\n%s", c.name, a.status, c.status, c.want, &all)
		}
	}
}

// TestDispatch_everyOperation: what nobody serves is refused in the protocol of its service, under its name.
func TestDispatch_everyOperation(t *testing.T) {
	t.Parallel()
	d, err := newDispatcher()
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, m := range models() {
		for _, op := range m.Operations {
			count++
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=A/20261122/r/"+m.Signing+"/aws4_request, SignedHeaders=host, Signature=0")
			var body string
			switch {
			case m.Target != "":
				r.Header.Set("X-Amz-Target", m.Target+"."+op.Name)
			case op.URI == "":
				body = "Action=" + op.Name + "&Version=" + m.Version
				r.Header.Set("Content-Type", formType)
			default:
				path := strings.NewReplacer("{Bucket}", "b", "{Key+}", "k/x", "{FunctionName}", "f", "{Name}", "n", "{Resource}", "r", "{StatementId}", "s").Replace(op.URI)
				for _, name := range []string{"partNumber=1", "uploadId=u", "tagKeys=t"} {
					if slices.Contains([]string{"UploadPart", "ListParts", "AbortMultipartUpload", "CompleteMultipartUpload", "UntagResource"}, op.Name) {
						path += map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + name
					}
				}
				r = httptest.NewRequestWithContext(t.Context(), op.Method, path, http.NoBody)
				r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=A/20261122/r/"+m.Signing+"/aws4_request")
				if op.Name == "CopyObject" {
					r.Header.Set("X-Amz-Copy-Source", "b/k")
				}
			}
			c := d.find(r)
			if c.form {
				if err := d.readForm(r, c, []byte(body)); err != nil {
					t.Fatal(err)
				}
			}
			if c.op == nil || c.op.Name != op.Name || c.target != (target{m.Prefix, op.Name}) {
				t.Errorf("%s of %s: found %+v, %v", op.Name, m.ID, c.target, c.op)
				continue
			}
			if e := c.unknown(); !strings.Contains(e.Message, op.Name) {
				t.Errorf("%s of %s: %s", op.Name, m.ID, e.Message)
			}
		}
	}
	if count < 230 {
		t.Errorf("only %d operations", count)
	}
}

// TestServer_gzip: clients compress what is large.
func TestServer_gzip(t *testing.T) {
	t.Parallel()
	e, _ := serveStubs(t)
	pack := func(s string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := io.WriteString(z, s); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for _, c := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"good", pack(`{"services":["web"]}`), 200, "web"},
		{"no gzip", `{"services":["web"]}`, 400, "SerializationException"},
		{"cut", pack(`{"services":["web"]}`)[:20], 400, "SerializationException"},
		{"a bomb", pack(`{"x":"` + strings.Repeat("x", 2<<20) + `"}`), 413, "RequestEntityTooLargeException"},
	} {
		a := e.speak(t, wireCall{"ecs", "POST", "/", c.body, headers("Content-Encoding", "gzip", "X-Amz-Target", "AmazonEC2ContainerServiceV20141113.DescribeServices"), false})
		if a.status != c.status || !strings.Contains(string(a.body), c.want) {
			t.Errorf("%s: %d %s, want %d %s", c.name, a.status, a.body, c.status, c.want)
		}
	}
}

// TestServer_objects: bodies of S3 pass in both directions without being held.
func TestServer_objects(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is gone")
	e, s := serveStubs(t, func(server *Server, s *stubs) {
		server.cfg.MaxObject = 5 << 20
		server.operations[target{"s3", "GetObject"}] = by(func(in *s3.GetObjectRequest) (*s3.GetObjectOutput, error) {
			if in.Key != "broken" {
				return s.getObject(in)
			}
			return &s3.GetObjectOutput{Body: io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20)), iotest.ErrReader(broken)))}, nil
		})
	})
	large := strings.Repeat("0123456789abcdef", 1<<18) // 4 MiB, above the limit of other bodies
	if a := e.speak(t, wireCall{"s3", "PUT", "/b/large", large, nil, false}); a.status != 200 || a.header.Get("ETag") != etag([]byte(large)) {
		t.Fatalf("put: %d %s", a.status, a.body)
	}
	if a := e.speak(t, wireCall{"s3", "GET", "/b/large", "", nil, false}); a.status != 200 || string(a.body) != large || a.header.Get("Content-Length") != "4194304" {
		t.Errorf("get: %d, %d bytes, %v", a.status, len(a.body), a.header)
	}
	if a := e.speak(t, wireCall{"s3", "HEAD", "/b/large", "", nil, false}); a.status != 200 || len(a.body) != 0 || a.header.Get("Content-Length") != "4194304" {
		t.Errorf("head: %d, %v", a.status, a.header)
	}
	if a := e.speak(t, wireCall{"s3", "PUT", "/b/larger", large + large, nil, false}); a.status != 400 || !strings.Contains(string(a.body), "<Code>EntityTooLarge</Code>") {
		t.Errorf("too large: %d %s", a.status, a.body)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, e.url+"/b/forged", strings.NewReader("forged"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Content-Sha256", digest("signed"))
	signer{rootKey(), "", "s3", "us-east-1", time.Now()}.signPayload(r, digest("signed"))
	if a := send(t, r); a.status != 400 || !strings.Contains(string(a.body), "<Code>XAmzContentSHA256Mismatch</Code>") {
		t.Errorf("forged: %d %s", a.status, a.body)
	}
	signer{rootKey(), "", "s3", "us-east-1", time.Now().Add(-10 * time.Minute)}.signPayload(r, digest("signed"))
	if a := send(t, r); a.status != 403 || !strings.Contains(string(a.body), "<Code>RequestTimeTooSkewed</Code>") {
		t.Errorf("late: %d %s", a.status, a.body)
	}
	s.mu.Lock()
	keys := slices.Collect(maps.Keys(s.objects))
	s.mu.Unlock()
	for _, key := range keys {
		if key != "b/large" {
			t.Errorf("%s was stored", key)
		}
	}
	r, err = http.NewRequestWithContext(t.Context(), http.MethodGet, e.url+"/b/broken", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Content-Sha256", digest(""))
	signer{rootKey(), "", "s3", "us-east-1", time.Now()}.signPayload(r, digest(""))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("an object that broke off looks whole: %d bytes", len(b))
	}
	if log := e.log.String(); !strings.Contains(log, broken.Error()) {
		t.Errorf("the log does not say why: %s", log)
	}
}

func FuzzDispatch(f *testing.F) {
	d, err := newDispatcher()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("POST", "/", "Action=GetRole&Version=2010-05-08", "", "iam", formType)
	f.Add("POST", "/service/GraniteServiceVersion20100801/operation/DescribeAlarms", "", "", "monitoring", "application/cbor")
	f.Add("GET", "/b/k%2F//?list-type=2", "", "", "s3", "")
	f.Add("POST", "/2015-03-31/functions/f/invocations", "{}", "", "lambda", "application/json")
	f.Add("POST", "/", "{}", "CodeDeploy_20141006.GetDeployment", "codedeploy", "application/x-amz-json-1.1")
	f.Fuzz(func(t *testing.T, method, path, body, name, scope, kind string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1"+path, http.NoBody)
		if err != nil {
			return
		}
		r.Header = http.Header{
			"Authorization": {"AWS4-HMAC-SHA256 Credential=A/20261122/r/" + scope + "/aws4_request"}, "Content-Type": {kind},
		}
		if name != "" {
			r.Header.Set("X-Amz-Target", name)
		}
		c := d.find(r)
		c.request.Body = []byte(body)
		if c.form && d.readForm(r, c, []byte(body)) != nil {
			return
		}
		if c.codec == nil || c.op != nil && (c.service == nil || c.target.operation != c.op.Name) {
			t.Fatalf("%+v", c)
		}
		answer := c.encodeError(c.unknown(), "id")
		if answer.Status < 400 || len(answer.Body) == 0 {
			t.Fatalf("%+v", answer)
		}
		if c.op == nil || c.op.Input == nil {
			return
		}
		if err := c.codec.Decode(c.op, c.request, reflect.New(c.op.Input).Interface()); err != nil && !errors.Is(err, wire.ErrMalformed) {
			t.Fatal(err)
		}
	})
}
