package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"

	"greengate/internal/awsapi/shapes"
	"greengate/internal/awsapi/shapes/lambda"
	"greengate/internal/awsapi/wire"
)

// everything has a member of every sort, also those that no operation of ours has today.
type everything struct {
	Text    string             `json:"Text,omitzero"`
	Flag    *bool              `json:"Flag,omitzero"`
	Small   *int32             `json:"Small,omitzero"`
	Big     *int64             `json:"Big,omitzero"`
	Real    *float64           `json:"Real,omitzero"`
	When    *shapes.Timestamp  `json:"When,omitzero"`
	Blob    []byte             `json:"Blob,omitzero"`
	Inner   *part              `json:"Inner,omitzero"`
	List    []string           `json:"List,omitzero"`
	Called  []string           `json:"Called,omitzero" wire:"name=Other,item=Thing"`
	Flat    []string           `json:"Flat,omitzero" wire:"flat"`
	FlatIt  []string           `json:"FlatIt,omitzero" wire:"flat,item=It"`
	Parts   []part             `json:"Parts,omitzero"`
	Map     map[string]string  `json:"Map,omitzero"`
	FlatMap map[string]part    `json:"FlatMap,omitzero" wire:"flat,key=K,value=V"`
	Whens   []shapes.Timestamp `json:"Whens,omitzero"`
	Any     any                `json:"Any,omitzero"`
}

type part struct {
	Name string `json:"Name,omitzero"`
	Self *part  `json:"Self,omitzero"`
}

type rest struct {
	Bucket string            `json:"Bucket,omitzero" aws:"required" wire:"uri=Bucket"`
	Key    string            `json:"Key,omitzero" aws:"required" wire:"uri=Key"`
	Size   *int32            `json:"Size,omitzero" wire:"query=size"`
	Tags   []string          `json:"Tags,omitzero" wire:"query=tag"`
	Since  *shapes.Timestamp `json:"Since,omitzero" wire:"header=X-Since"`
	Parts  []string          `json:"Parts,omitzero" wire:"header=X-Parts"`
	Meta   map[string]string `json:"Meta,omitzero" wire:"headers=X-Meta-"`
	Status *int32            `json:"Status,omitzero" wire:"status"`
	Body   *everything       `json:"Body,omitzero" wire:"payload"`
}

type streamed struct {
	Name string        `json:"Name,omitzero" wire:"query=name"`
	Body io.ReadCloser `json:"Body,omitzero" wire:"payload"`
}

func sample(tb testing.TB) *wire.Service {
	tb.Helper()
	all, r, st := reflect.TypeFor[everything](), reflect.TypeFor[rest](), reflect.TypeFor[streamed]()
	s, err := wire.Compile(shapes.Service{
		ID: "Sample", Namespace: "http://sample/", QueryErrors: true,
		Operations: []shapes.Operation{
			{Name: "Do", Input: all, Output: all},
			{Name: "Nothing"},
			{Name: "Rest", Method: "PUT", URI: "/{Bucket}/{Key+}", Input: r, Output: r, Status: 201},
			{Name: "Stream", Method: "PUT", URI: "/{Bucket}?stream", Input: st, Output: st},
		},
		Errors: map[string]shapes.Fault{
			"GoneException": {Code: "Gone", Status: 404, Message: "Message", Typed: true}, "BrokenException": {Status: 502, Server: true},
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func form(tb testing.TB, s string) *wire.Request {
	tb.Helper()
	values, err := wire.ParseForm(s)
	if err != nil {
		tb.Fatal(err)
	}
	return &wire.Request{Query: values, Header: http.Header{}}
}

func at(ms int64) shapes.Timestamp { return shapes.Timestamp{Time: time.UnixMilli(ms).UTC()} }

func TestQuery_decode(t *testing.T) {
	t.Parallel()
	op := sample(t).Find("Do")
	for in, want := range map[string]everything{
		"": {},
		"Action=Do&Version=1&Nope=1&Nope.member.1.X=2": {},
		"Text=a+b%26c":                        {Text: "a b&c"},
		"Text=":                               {},
		"Text=first&Text=second":              {Text: "first"},
		"Flag=false&Small=-1&Real=2.5e1":      {Flag: new(false), Small: new(int32(-1)), Real: new(25.0)},
		"Blob=aGk%3D":                         {Blob: []byte("hi")},
		"When=2026-11-22T12:00:00Z":           {When: new(at(1795348800000))},
		"When=2026-11-22T13:00:00.5%2B01:00":  {When: new(at(1795348800500))},
		"When=1795348800.25":                  {When: new(at(1795348800250))},
		"Inner.Name=x&Inner.Self.Self.Name=y": {Inner: &part{Name: "x", Self: &part{Self: &part{Name: "y"}}}},
		"List=":                               {List: []string{}},
		"List.member.2=b&List.member.10=c&List.member.1=a":        {List: []string{"a", "b", "c"}},
		"List.member.4=b&List.member.2=":                          {List: []string{"", "b"}},
		"List.member.x=b&List.member.0=a&List.member.-1=c":        {List: []string{}},
		"List.member.99999999999999999999=b":                      {List: []string{}},
		"List.1=b":                                                {List: []string{}},
		"Other.Thing.1=a":                                         {Called: []string{"a"}},
		"Called.member.1=a":                                       {},
		"Flat.1=a&Flat.2=b":                                       {Flat: []string{"a", "b"}},
		"It.1=a":                                                  {FlatIt: []string{"a"}},
		"Parts.member.1.Name=a&Parts.member.2.Self.Name=b":        {Parts: []part{{Name: "a"}, {Self: &part{Name: "b"}}}},
		"Map.entry.1.key=k&Map.entry.1.value=v&Map.entry.2.key=e": {Map: map[string]string{"k": "v", "e": ""}},
		"FlatMap.1.K=k&FlatMap.1.V.Name=v":                        {FlatMap: map[string]part{"k": {Name: "v"}}},
	} {
		var got everything
		if err := (wire.Query{}).Decode(op, form(t, in), &got); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
	}
}

func TestQuery_refuses(t *testing.T) {
	t.Parallel()
	op := sample(t).Find("Do")
	for in, want := range map[string]string{
		"Flag=yes": "Flag: expected a value of type boolean", "Flag=TRUE": "Flag", "Small=1.5": "Small: expected a value of type integer",
		"Small=2147483648": "Small", "Big=9223372036854775808": "Big", "Real=1_0": "Real", "Real=0x1p4": "Real", "Real=1e999": "Real",
		"When=yesterday": "When: expected a value of type timestamp", "When=1e99": "When", "Blob=%": "form", "Blob=a": "Blob",
		"Text.Sub=1": "Text: expected a value of type string, got a structure", "List.member.1.X=1": "List[0]: expected a value of type string, got a structure",
		"Map.entry.1.value=v": "Map[0]: an entry of a map has no key", "Parts.member.1.Self.Name.X=1": "Parts[0].Self.Name",
		"Whens.member.2=x": "Whens[0]", "Map.entry.1.key=%F6": "UTF-8", "%F6=1": "UTF-8", strings.Repeat("Self.", 80) + "=1": "nested",
	} {
		values, err := wire.ParseForm(in)
		if err == nil {
			err = (wire.Query{}).Decode(op, &wire.Request{Query: values}, new(everything))
		}
		if !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", in, err, want)
		}
	}
	if _, err := wire.ParseForm(strings.Repeat("a=1&", wire.MaxParameters)); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("a form with too many parameters: %v", err)
	}
	if err := (wire.Query{}).Decode(op, form(t, ""), new(part)); err == nil || errors.Is(err, wire.ErrMalformed) {
		t.Errorf("decoding into another structure: %v", err)
	}
}

// TestEncode_query has by hand what the generated vectors leave out: empty is not absent.
func TestEncode_query(t *testing.T) {
	t.Parallel()
	s := sample(t)
	for want, out := range map[string]everything{
		``: {},
		`<Text>a&lt;b&amp;` + "\uFFFD" + `</Text>`:                                                          {Text: "a<b&\x01"},
		`<Flag>false</Flag><Small>0</Small><Real>0.000001</Real>`:                                           {Flag: new(false), Small: new(int32(0)), Real: new(1e-6)},
		`<When>2026-11-22T12:00:00.007Z</When>`:                                                             {When: new(at(1795348800007))},
		`<Inner></Inner><List></List>`:                                                                      {Inner: &part{}, List: []string{}},
		`<List><member>a</member><member></member></List>`:                                                  {List: []string{"a", ""}},
		`<Other><Thing>a</Thing></Other><Flat>b</Flat><Flat>c</Flat><It>d</It>`:                             {Called: []string{"a"}, Flat: []string{"b", "c"}, FlatIt: []string{"d"}},
		`<Map><entry><key>a</key><value>1</value></entry><entry><key>b</key><value>2</value></entry></Map>`: {Map: map[string]string{"b": "2", "a": "1"}},
		`<FlatMap><K>k</K><V><Name>v</Name></V></FlatMap>`:                                                  {FlatMap: map[string]part{"k": {Name: "v"}}},
		`<Blob>aGk=</Blob>`: {Blob: []byte("hi")},
	} {
		r, err := wire.Query{}.Encode(s.Find("Do"), &out, "id-1")
		if err != nil {
			t.Fatal(err)
		}
		all := `<DoResponse xmlns="http://sample/"><DoResult>` + want + `</DoResult><ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></DoResponse>`
		if string(r.Body) != all || r.Status != 200 || r.Header.Get("Content-Type") != "text/xml; charset=utf-8" {
			t.Errorf("%d %v %s\nwant %s", r.Status, r.Header, r.Body, all)
		}
	}
	r, err := wire.Query{}.Encode(s.Find("Nothing"), nil, "id-2")
	if want := `<NothingResponse xmlns="http://sample/"><ResponseMetadata><RequestId>id-2</RequestId></ResponseMetadata></NothingResponse>`; err != nil || string(r.Body) != want {
		t.Errorf("%s, %v", r.Body, err)
	}
	if _, err := (wire.Query{}).Encode(s.Find("Do"), &part{}, ""); err == nil {
		t.Error("encoded another structure")
	}
	if _, err := (wire.Query{}).Encode(s.Find("Do"), &everything{Any: 1}, ""); err == nil {
		t.Error("encoded a document as XML")
	}
}

func TestREST_bindings(t *testing.T) {
	t.Parallel()
	s := sample(t)
	r := &wire.Request{
		Method: "PUT", Path: "/b%2Fc/a//%C3%A4%20/", Query: url.Values{"size": {"5"}, "tag": {"x", "y"}},
		Header: http.Header{"X-Since": {"Sun, 22 Nov 2026 12:00:00 GMT"}, "X-Parts": {"a, b", "c"}, "X-Meta-Colour": {"red"}, "X-Meta-": {"no"}, "Other": {"x"}},
		Body:   []byte(`<Anything xmlns="urn:x"><Text> a </Text><Nope><X/></Nope><Flat>1</Flat><Flat>2</Flat><List><member>m</member></List></Anything>`),
	}
	op, labels := s.Match(r)
	if op == nil || op.Name != "Rest" {
		t.Fatalf("matched %v", op)
	}
	r.Labels = labels
	want := rest{
		Bucket: "b/c", Key: "a//ä /", Size: new(int32(5)), Tags: []string{"x", "y"}, Since: new(at(1795348800000)), Parts: []string{"a", "b", "c"},
		Meta: map[string]string{"colour": "red"}, Body: &everything{Text: " a ", Flat: []string{"1", "2"}, List: []string{"m"}},
	}
	var got rest
	if err := (wire.RESTXML{}).Decode(op, r, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.Body = []byte(`{"Text":" a ","Nope":[{}],"Flat":["1","2"],"List":["m"]}`)
	got = rest{}
	if err := (wire.RESTJSON{}).Decode(op, r, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	for query, want := range map[string]string{"size=x": "Size: expected", "size=": "Size: expected"} {
		r.Query, _ = url.ParseQuery(query)
		if err := (wire.RESTJSON{}).Decode(op, r, new(rest)); !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", query, err)
		}
	}
	got.Status, got.Meta = new(int32(206)), map[string]string{"Colour": "red\r\nX-Evil: 1"}
	lower := strings.ToLower("X-Meta-Colour") // on purpose not as Go writes headers
	a, err := wire.RESTJSON{}.Encode(op, &got, "")
	if err != nil || a.Status != 206 || !slices.Equal(a.Header[lower], []string{"red  X-Evil: 1"}) || a.Header.Get("X-Parts") != "a,b,c" ||
		a.Header.Get("X-Since") != "Sun, 22 Nov 2026 12:00:00 GMT" {
		t.Errorf("%d %v %v", a.Status, a.Header, err)
	}
	if want := `{"Text":" a ","List":["m"],"Flat":["1","2"]}`; string(a.Body) != want {
		t.Errorf("%s, want %s", a.Body, want)
	}
}

// TestREST_bodyStaysInside: what stands in the path or the query cannot be set from the body.
func TestREST_bodyStaysInside(t *testing.T) {
	t.Parallel()
	s := services(t)["lambda"]
	r := &wire.Request{Method: "PUT", Path: "/2015-03-31/functions/mine/aliases/a", Body: []byte(`{"FunctionName":"yours","Name":"b","FunctionVersion":"2"}`)}
	op, labels := s.Match(r)
	r.Labels = labels
	var in lambda.UpdateAliasRequest
	if err := (wire.RESTJSON{}).Decode(op, r, &in); err != nil {
		t.Fatal(err)
	}
	if in.FunctionName != "mine" || in.Name != "a" || in.FunctionVersion != "2" {
		t.Errorf("%+v", in)
	}
}

func TestREST_stream(t *testing.T) {
	t.Parallel()
	s := sample(t)
	r := &wire.Request{Method: "PUT", Path: "/b/", Query: url.Values{"stream": {""}, "name": {"n"}}, Header: http.Header{}, Stream: io.NopCloser(strings.NewReader("bytes"))}
	op, labels := s.Match(r)
	if op == nil || op.Name != "Stream" || !op.Streams() || s.Find("Rest").Streams() {
		t.Fatalf("matched %v", op)
	}
	r.Labels = labels
	var in streamed
	if err := (wire.RESTXML{}).Decode(op, r, &in); err != nil {
		t.Fatal(err)
	}
	a, err := wire.RESTXML{}.Encode(op, &in, "")
	if err != nil || a.Stream == nil {
		t.Fatalf("%+v, %v", a, err)
	}
	if b, err := io.ReadAll(a.Stream); err != nil || string(b) != "bytes" || in.Name != "n" {
		t.Errorf("%q, %v, %q", b, err, in.Name)
	}
	for _, path := range []string{"/", "//", "/b/k", "/%zz"} {
		r.Path = path
		if op, _ := s.Match(r); op != nil && op.Name == "Stream" {
			t.Errorf("%s matched", path)
		}
	}
}

func TestRESTXML_refuses(t *testing.T) {
	t.Parallel()
	op := sample(t).Find("Rest")
	for body, want := range map[string]string{
		"<a>": "well-formed", "x": "one XML document", "<a/><b/>": "one XML document", "<a><Small>x</Small></a>": "Body.Small: expected",
		"<a><Text><b/></Text></a>": "Body.Text: expected a value of type string, got a structure", `<!DOCTYPE a [<!ENTITY x "y">]><a/>`: "document type",
		"<a><Text>&x;</Text></a>": "well-formed", strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100): "nested",
		"<a>" + strings.Repeat("<b/>", wire.MaxElements) + "</a>": "too many",
		"<a><Map><entry><value/></entry></Map></a>":               "Body.Map[0]: an entry of a map has no key",
	} {
		err := wire.RESTXML{}.Decode(op, &wire.Request{Header: http.Header{}, Body: []byte(body), Labels: map[string]string{}}, new(rest))
		if !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.50s: %v, want %q", body, err, want)
		}
	}
}

func TestCBOR(t *testing.T) {
	t.Parallel()
	c, err := wire.NewCBOR()
	if err != nil {
		t.Fatal(err)
	}
	op := sample(t).Find("Do")
	full := everything{
		Text: "ä", Flag: new(false), Small: new(int32(-7)), Big: new(int64(1 << 60)), Real: new(0.1), When: new(at(1795348800250)), Blob: []byte{0, 255},
		Inner: &part{}, List: []string{}, Parts: []part{{Name: "a"}}, Map: map[string]string{"k": "v"}, Whens: []shapes.Timestamp{at(-1500)},
	}
	a, err := c.Encode(op, &full, "")
	if err != nil || a.Header.Get(wire.ProtocolHeader) != "rpc-v2-cbor" || a.Header.Get("Content-Type") != "application/cbor" {
		t.Fatalf("%v, %v", a, err)
	}
	var got everything
	if err := c.Decode(op, &wire.Request{Body: a.Body}, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full, got); diff != "" {
		t.Errorf("(-encoded +decoded):\n%s", diff)
	}
	if a, err := c.Encode(sample(t).Find("Nothing"), nil, ""); err != nil || len(a.Body) != 0 || a.Header.Get("Content-Type") != "" {
		t.Errorf("no output: %+v, %v", a, err)
	}
	for _, in := range []struct {
		value any
		want  string
	}{
		{map[string]any{"Text": 1}, "Text: expected a string, got a number"},
		{map[string]any{"Small": 1.5}, "Small: expected an integer of 32 bits"},
		{map[string]any{"Small": 1 << 31}, "Small"},
		{map[string]any{"Big": uint64(1 << 63)}, "Big"},
		{map[string]any{"When": 1.5}, "When: expected a timestamp"},
		{map[string]any{"When": cbor.Tag{Number: 1, Content: 253402300800.5}}, "When"},
		{map[string]any{"Text": []byte("x")}, "Text: expected a string, got a blob"},
		{map[string]any{"List": map[string]any{}}, "List: expected a list"},
		{map[int]any{1: 2}, "well-formed CBOR map"},
		{[]any{}, "well-formed CBOR map"},
		{cbor.RawMessage{0xbf}, "well-formed CBOR map"},
		{cbor.RawMessage(bytes.Repeat([]byte{0x81}, 200)), "well-formed CBOR map"},
		{cbor.RawMessage{0xa2, 0x61, 'a', 1, 0x61, 'a', 2}, "well-formed CBOR map"},
		{cbor.RawMessage{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "well-formed CBOR map"},
	} {
		body, ok := in.value.(cbor.RawMessage)
		if !ok {
			if body, err = cbor.Marshal(in.value); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Decode(op, &wire.Request{Body: body}, new(everything)); !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), in.want) {
			t.Errorf("%v: %v, want %q", in.value, err, in.want)
		}
	}
	for _, in := range []any{map[string]any{"Nope": []any{1}, "Text": nil, "Small": 2.0}, map[string]any{}} {
		body, err := cbor.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Decode(op, &wire.Request{Body: body}, new(everything)); err != nil {
			t.Errorf("%v: %v", in, err)
		}
	}
}

func TestJSON_depth(t *testing.T) {
	t.Parallel()
	op := sample(t).Find("Do")
	deep := func(n int) []byte {
		return []byte(`{"Text":"[[[[\"{","Any":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`)
	}
	var in everything
	if err := (wire.JSON{}).Decode(op, &wire.Request{Body: deep(shapes.MaxDepth - 1)}, &in); err != nil || in.Any == nil || in.Text != `[[[["{` {
		t.Errorf("%v, %+v", err, in)
	}
	if err := (wire.JSON{}).Decode(op, &wire.Request{Body: deep(shapes.MaxDepth)}, &in); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("nested too deep: %v", err)
	}
}

func TestEncodeFault(t *testing.T) {
	t.Parallel()
	s := sample(t)
	c := codecs(t)
	type want struct {
		status int
		parts  []string
	}
	for _, v := range []struct {
		protocol string
		service  *wire.Service
		fault    wire.Fault
		want
	}{
		{"query", s, wire.Fault{Name: "GoneException", Message: "a<b"}, want{404, []string{`<ErrorResponse xmlns="http://sample/"><Error><Type>Sender</Type><Code>Gone</Code><Message>a&lt;b</Message></Error><RequestId>id</RequestId></ErrorResponse>`}}},
		{"query", s, wire.Fault{Name: "BrokenException"}, want{502, []string{"<Type>Receiver</Type><Code>BrokenException</Code>"}}},
		{"query", s, wire.Fault{Name: "GoneException", Status: 410}, want{410, nil}},
		{"query", nil, wire.Fault{Name: "UnknownOperationException"}, want{400, []string{"<ErrorResponse><Error>", "<Code>InvalidAction</Code>"}}},
		{"query", nil, wire.Fault{Name: "InvalidSignatureException"}, want{403, []string{"<Code>SignatureDoesNotMatch</Code>"}}},
		{"json", s, wire.Fault{Name: "GoneException", Message: "a<b"}, want{404, []string{`{"__type":"GoneException","Message":"a<b"}`, "X-Amzn-Query-Error: Gone;Sender"}}},
		{"json", nil, wire.Fault{Name: "InvalidSignatureException", Message: "m", Field: "f"}, want{400, []string{`{"__type":"InvalidSignatureException","message":"m","field":"f"}`}}},
		{"json", nil, wire.Fault{Name: "InternalFailure"}, want{500, nil}},
		{"smithy-rpc-v2-cbor", s, wire.Fault{Name: "BrokenException", Message: "m"}, want{502, []string{"X-Amzn-Query-Error: BrokenException;Receiver", "Smithy-Protocol: rpc-v2-cbor"}}},
		{"rest-json", s, wire.Fault{Name: "GoneException", Message: "m"}, want{404, []string{`{"Type":"User","Message":"m"}`, "X-Amzn-Errortype: Gone"}}},
		{"rest-json", s, wire.Fault{Name: "BrokenException", Message: "m"}, want{502, []string{`{"message":"m"}`, "X-Amzn-Errortype: BrokenException"}}},
		{"rest-json", nil, wire.Fault{Name: "UnknownOperationException"}, want{404, []string{"X-Amzn-Errortype: UnknownOperationException"}}},
		{"rest-xml", nil, wire.Fault{Name: "NoSuchKey", Message: "m", Status: 404, Resource: "/b/k"}, want{404, []string{"<Error><Code>NoSuchKey</Code><Message>m</Message><Resource>/b/k</Resource><RequestId>id</RequestId>"}}},
		{"rest-xml", nil, wire.Fault{Name: "UnrecognizedClientException"}, want{403, []string{"<Code>InvalidAccessKeyId</Code>"}}},
	} {
		v.fault.RequestID = "id"
		r := c[v.protocol].EncodeFault(v.service, v.fault)
		var all bytes.Buffer
		if err := r.Header.Write(&all); err != nil {
			t.Fatal(err)
		}
		all.Write(r.Body)
		for _, part := range v.parts {
			if !strings.Contains(strings.ReplaceAll(all.String(), "\r\n", "\n"), part) {
				t.Errorf("%s %s: %s\nlacks %s", v.protocol, v.fault.Name, &all, part)
			}
		}
		if r.Status != v.status {
			t.Errorf("%s %s: status %d, want %d", v.protocol, v.fault.Name, r.Status, v.status)
		}
	}
	var body map[string]string
	if err := cbor.Unmarshal(c["smithy-rpc-v2-cbor"].EncodeFault(s, wire.Fault{Name: "GoneException", Message: "m"}).Body, &body); err != nil ||
		!cmp.Equal(body, map[string]string{"__type": "GoneException", "Message": "m"}) {
		t.Errorf("%v, %v", body, err)
	}
}

func TestCompile_refuses(t *testing.T) {
	t.Parallel()
	type channel struct {
		C chan int `json:"C"`
	}
	type keys struct {
		M map[int]string `json:"M"`
	}
	type tag struct {
		A string `json:"A" wire:"nonsense"`
	}
	type family struct {
		A string `json:"A" wire:"headers=X-"`
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[channel](), reflect.TypeFor[keys](), reflect.TypeFor[tag](), reflect.TypeFor[family]()} {
		if _, err := wire.Compile(shapes.Service{ID: "X", Operations: []shapes.Operation{{Name: "Do", Input: typ}}}); err == nil {
			t.Errorf("%s was compiled", typ)
		}
	}
}

// again is the property of every decoder: what it reads can be written as JSON and read again as the same.
func again(t *testing.T, in any, into any) {
	t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		if strings.Contains(err.Error(), "NaN") || strings.Contains(err.Error(), "Inf") {
			return // JSON has no such numbers
		}
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	b2, err := json.Marshal(into)
	if err != nil || !bytes.Equal(b, b2) {
		t.Fatalf("%s became %s (%v)", b, b2, err)
	}
}

func FuzzQuery(f *testing.F) {
	op := sample(f).Find("Do")
	for _, s := range []string{
		"Text=a&List.member.1=b&Map.entry.1.key=k&Map.entry.1.value=v", "FlatMap.1.K=k&Inner.Self.Name=x", "When=2026-11-22T12:00:00Z&Real=NaN",
		"Whens.member.1=-62135596800&Blob=aGk%3D", "List.member.9999999999=1&Flat.1=2", "Parts.member.1.Self.Self.Name=1",
	} {
		f.Add(s)
	}
	f.Add("Map.entry.1.key=\xf6")
	f.Fuzz(func(t *testing.T, s string) {
		values, err := wire.ParseForm(s)
		if err != nil {
			return
		}
		var in everything
		if (wire.Query{}).Decode(op, &wire.Request{Query: values}, &in) == nil {
			again(t, in, new(everything))
			if _, err := (wire.Query{}).Encode(op, &in, ""); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzCBOR(f *testing.F) {
	c, err := wire.NewCBOR()
	if err != nil {
		f.Fatal(err)
	}
	op := sample(f).Find("Do")
	for _, v := range []any{
		map[string]any{"Text": "a", "List": []string{"b"}, "Map": map[string]string{"k": "v"}, "Blob": []byte{1}},
		map[string]any{"When": cbor.Tag{Number: 1, Content: 1.5}, "Real": 0.5, "Small": 1, "Flag": true, "Inner": map[string]any{"Self": map[string]any{}}},
		map[string]any{"Any": 1, "Whens": []any{cbor.Tag{Number: 1, Content: -5}}, "Big": uint64(1 << 63)},
	} {
		b, err := cbor.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{0xbf, 0x64, 'T', 'e', 'x', 't', 0x7f, 0x61, 'a', 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var in, two everything
		if c.Decode(op, &wire.Request{Body: b}, &in) != nil {
			return
		}
		in.Any = nil
		a, err := c.Encode(op, &in, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Decode(op, &wire.Request{Body: a.Body}, &two); err != nil {
			t.Fatal(err)
		}
		a2, err := c.Encode(op, &two, "")
		if err != nil || !bytes.Equal(a.Body, a2.Body) {
			t.Fatalf("%x became %x (%v)", a.Body, a2.Body, err)
		}
	})
}

func FuzzREST(f *testing.F) {
	s := sample(f)
	f.Add("/b/k", "size=1&tag=a", "a,b", []byte(`<a><Text>x</Text><Flat>1</Flat><Map><entry><key>k</key></entry></Map></a>`))
	f.Add("/b/a%2Fb//", "tag", "", []byte(`{"Text":"x","Any":[1]}`))
	f.Add("/b?", "stream", "x", []byte(`<a><When>2026-11-22T12:00:00Z</When><Parts><member><Name>n</Name></member></Parts></a>`))
	f.Fuzz(func(t *testing.T, path, query, header string, body []byte) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		r := &wire.Request{Method: "PUT", Path: path, Query: values, Header: http.Header{"X-Parts": {header}, "X-Since": {header}, "X-Meta-A": {header}}, Body: body}
		op, labels := s.Match(r)
		if op == nil || op.Name != "Rest" {
			return
		}
		r.Labels = labels
		for _, c := range []wire.Codec{wire.RESTXML{}, wire.RESTJSON{}} {
			var in rest
			if c.Decode(op, r, &in) != nil {
				continue
			}
			if in.Bucket == "" || in.Key == "" {
				t.Fatalf("matched %q without its labels", path)
			}
			if in.Body != nil {
				in.Body.Any = nil
			}
			if _, err := (wire.RESTXML{}).Encode(op, &in, ""); err != nil {
				t.Fatal(err)
			}
		}
	})
}
