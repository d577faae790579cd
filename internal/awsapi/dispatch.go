package awsapi

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

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
	"greengate/internal/deploy"
)

// target is a service, by its prefix in IAM actions and logs, and an operation of it.
type target struct {
	service   string
	operation string
}

// Services, by their prefixes.
const (
	serviceCodeDeploy = "codedeploy"
	serviceGreengate  = "greengate"
	serviceLambda     = "lambda"
	serviceLogs       = "logs"
	serviceS3         = "s3"
)

// models are the services whose requests are recognised, whether or not anybody answers them.
func models() []shapes.Service {
	return []shapes.Service{
		codedeploy.Model(), ecs.Model(), elbv2.Model(), lambda.Model(), logs.Model(), cloudwatch.Model(), iam.Model(), sts.Model(),
		sns.Model(), s3.Model(), autoscaling.Model(),
	}
}

// call is one request: what it names and how it is read and answered.
type call struct {
	target  target
	codec   wire.Codec
	service *wire.Service   // nil for our own operations and where nobody is meant
	op      *wire.Operation // nil for our own operations, and where the model has none
	request *wire.Request
	// form: the operation stands in a form, which may be the body.
	form bool
	// input is what was decoded, for the audit.
	input any
}

// dispatcher finds out what a request speaks, and to whom.
type dispatcher struct {
	cbor     wire.CBOR
	byTarget map[string]*wire.Service // by the prefix of X-Amz-Target
	byQuery  map[string]*wire.Service // by the version of the query API
	byPrefix map[string]*wire.Service
}

func newDispatcher() (*dispatcher, error) {
	d := &dispatcher{byTarget: map[string]*wire.Service{}, byQuery: map[string]*wire.Service{}, byPrefix: map[string]*wire.Service{}}
	var err error
	if d.cbor, err = wire.NewCBOR(); err != nil {
		return nil, err
	}
	for _, m := range models() {
		s, err := wire.Compile(m)
		if err != nil {
			return nil, err
		}
		d.byPrefix[m.Prefix] = s
		if m.Target != "" {
			d.byTarget[m.Target] = s
		}
		for _, p := range m.Protocols {
			if p == "query" {
				d.byQuery[m.Version] = s
			}
		}
	}
	return d, nil
}

// find looks at everything but the body. In this order: the target header, the path of rpc-v2-cbor, the service in the
// scope of the signature where protocols share paths, the look of the path, a form.
func (d *dispatcher) find(r *http.Request) *call {
	c := &call{request: &wire.Request{Method: r.Method, Path: r.URL.EscapedPath(), Header: r.Header}}
	path := r.URL.Path
	scope := scopeService(r)
	switch {
	case r.Header.Get("X-Amz-Target") != "":
		d.json(r, c)
	case r.Method == http.MethodPost && strings.HasPrefix(path, "/service/") && (r.Header.Get(wire.ProtocolHeader) != "" || scope != serviceS3):
		d.rpc(path, c)
	case scope == serviceS3:
		d.rest(r, c, serviceS3, wire.RESTXML{})
	case scope == serviceLambda || scope == "" && dated(path):
		d.rest(r, c, serviceLambda, wire.RESTJSON{})
	case path == "/" && (isForm(r) || r.URL.Query().Has("Action")):
		c.codec, c.form = wire.Query{}, true
	case path != "/" && scope == "":
		d.rest(r, c, serviceS3, wire.RESTXML{}) // somebody without a signature, most likely looking for an object
	default:
		c.codec = wire.JSON{Version: "1.1"}
	}
	return c
}

func (d *dispatcher) json(r *http.Request, c *call) {
	codec := wire.JSON{Version: "1.1"}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-amz-json-1.0") {
		codec.Version = "1.0"
	}
	c.codec = codec
	name := r.Header.Get("X-Amz-Target")
	if operation, ok := strings.CutPrefix(name, deploy.TargetPrefix); ok {
		c.target = target{serviceGreengate, operation}
		return
	}
	if prefix, operation, ok := strings.Cut(name, "."); ok && r.Method == http.MethodPost {
		c.name(d.byTarget[prefix], operation)
	}
}

func (d *dispatcher) rpc(path string, c *call) {
	c.codec = d.cbor
	if parts := strings.Split(path, "/"); len(parts) == 5 && parts[3] == "operation" {
		c.name(d.byTarget[parts[2]], parts[4])
	}
}

func (d *dispatcher) rest(r *http.Request, c *call, prefix string, codec wire.Codec) {
	c.codec, c.service, c.target.service = codec, d.byPrefix[prefix], prefix
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return
	}
	c.request.Query = query
	if prefix == serviceS3 {
		c.request.Path = bucketPath(r)
	}
	op, labels := c.service.Match(c.request)
	if op == nil || prefix == serviceS3 && (!wholeResource(op, query) || partCopy(op, r, query)) {
		return
	}
	c.request.Labels = labels
	c.name(c.service, op.Name)
}

// wholeResource reports whether each subresource that the query names is one that the path of the operation names too.
func wholeResource(op *wire.Operation, query url.Values) bool {
	_, own, _ := strings.Cut(op.URI, "?")
	for name := range query {
		if wire.IsSubresource(name) && name != own {
			return false
		}
	}
	return true
}

// partCopy reports whether a request copies an object in a way that op does not: UploadPartCopy is not served, and must not
// be taken for a part without a body.
func partCopy(op *wire.Operation, r *http.Request, query url.Values) bool {
	return r.Header.Get("X-Amz-Copy-Source") != "" && (op.Name != "CopyObject" || query.Has("uploadId"))
}

// bucketPath is the path with the bucket in it. A client that was given a name instead of an address for an endpoint
// puts the bucket before the name.
func bucketPath(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	bucket, ok := strings.CutSuffix(host, ".localhost")
	if !ok || bucket == "" {
		return r.URL.EscapedPath()
	}
	return "/" + url.PathEscape(bucket) + r.URL.EscapedPath()
}

// name sets what the call is about. An operation that the model does not have leaves op nil.
func (c *call) name(s *wire.Service, operation string) {
	c.service = s
	if s == nil {
		return
	}
	c.target.service = s.Prefix
	if c.op = s.Find(operation); c.op != nil {
		c.target.operation = operation
	}
}

// dated reports whether a path begins with the version of an API: /2015-03-31/.
func dated(path string) bool {
	return len(path) > 11 && path[0] == '/' && path[11] == '/' && path[5] == '-' && path[8] == '-' && strings.Trim(path[1:11], "0123456789-") == ""
}

func isForm(r *http.Request) bool {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return r.Method == http.MethodPost && strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded")
}

// scopeService is the service that the signature names, empty where there is none. Nothing is verified here.
func scopeService(r *http.Request) string {
	_, credential, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !ok {
		credential = r.URL.Query().Get("X-Amz-Credential")
	}
	credential, _, _ = strings.Cut(credential, ",")
	parts := strings.Split(strings.TrimSpace(credential), "/")
	if len(parts) != 5 {
		return ""
	}
	return parts[3]
}

// readForm finds service and operation of a query call, now that the body is known to be the caller's.
func (d *dispatcher) readForm(r *http.Request, c *call, body []byte) error {
	raw := r.URL.RawQuery
	if isForm(r) {
		raw = string(body)
	}
	form, err := wire.ParseForm(raw)
	if err != nil {
		return serializationError(err.Error())
	}
	c.request.Query = form
	c.name(d.byQuery[form.Get("Version")], form.Get("Action"))
	return nil
}

// unknown is the error for a call that nobody answers. It comes after authentication; names are only those of the model.
func (c *call) unknown() *Error {
	switch {
	case c.service == nil:
		return errUnknownOperation
	case c.op == nil:
		return fault(errUnknownOperation.Name, "The operation is not known here, or not of this version of "+c.service.ID+".")
	}
	return fault(errUnknownOperation.Name, "The operation "+c.op.Name+" of "+c.service.ID+" is not served here.")
}

// decode reads the input. Our own operations take it as it is.
func (c *call) decode(into any) error {
	c.input = into
	if c.op == nil {
		raw, ok := into.(*json.RawMessage)
		if !ok {
			return fmt.Errorf("decode %s: %T is no raw message", c.target.operation, into)
		}
		return decodeRaw(c.request.Body, raw)
	}
	err := c.codec.Decode(c.op, c.request, into)
	if errors.Is(err, wire.ErrMalformed) {
		return serializationError(err.Error())
	}
	return err
}

// decodeRaw is for operations of our own, which decode themselves; an absent body is an empty object.
func decodeRaw(body []byte, raw *json.RawMessage) error {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		body = []byte("{}")
	}
	if !json.Valid(body) || body[0] != '{' {
		return serializationError("the body is not a JSON object")
	}
	*raw = body
	return nil
}

func (c *call) encode(out any, requestID string) (*wire.Response, error) {
	if c.op != nil {
		return c.codec.Encode(c.op, out, requestID)
	}
	r := &wire.Response{Status: http.StatusOK, Header: http.Header{"Content-Type": {wire.JSON{Version: "1.1"}.ContentType()}}, Body: []byte("{}")}
	if out == nil {
		return r, nil
	}
	body, err := wire.MarshalJSON(out)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", out, err)
	}
	r.Body = body
	return r, nil
}

func (c *call) encodeError(e *Error, requestID string) *wire.Response {
	f := wire.Fault{Name: e.Name, Message: e.Message, Status: e.Status, Field: e.Field, RequestID: requestID}
	if _, ok := c.codec.(wire.RESTXML); ok {
		f.Resource = c.request.Path
		if e.s3 != "" {
			f.Name, f.Status = e.s3, http.StatusForbidden
		}
	}
	return c.codec.EncodeFault(c.service, f)
}

// gunzip unpacks the body of a client that compressed it (PutMetricData above 10 KB).
func gunzip(r *http.Request, body []byte, limit int64) ([]byte, error) {
	if !strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		return body, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, serializationError("the body is not gzip, as its Content-Encoding says")
	}
	plain, err := io.ReadAll(io.LimitReader(z, limit+1))
	switch {
	case err != nil:
		return nil, serializationError("the body is not gzip, as its Content-Encoding says")
	case int64(len(plain)) > limit:
		return nil, errTooLarge(limit)
	}
	return plain, nil
}
