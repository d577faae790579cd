package shapes_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greengate/internal/awsapi/shapes"
	"greengate/internal/awsapi/shapes/codedeploy"
)

type inner struct {
	Name string `json:"name,omitzero" aws:"required,min=2,max=4"`
}

// sample has a member of every sort that the generator emits.
type sample struct {
	Text    string                             `json:"text,omitzero"`
	Flag    *bool                              `json:"flag,omitzero"`
	Small   *int32                             `json:"small,omitzero" aws:"min=1,max=9"`
	Big     *int64                             `json:"big,omitzero"`
	Real    *float64                           `json:"real,omitzero"`
	When    *shapes.Timestamp                  `json:"when,omitzero"`
	Inner   *inner                             `json:"inner,omitzero"`
	List    []string                           `json:"list,omitzero" aws:"max=2"`
	Structs []inner                            `json:"structs,omitzero"`
	Map     map[string][]string                `json:"map,omitzero"`
	Status  codedeploy.DeploymentStatus        `json:"status,omitzero"`
	Events  []codedeploy.AutoRollbackEvent     `json:"events,omitzero"`
	Named   map[codedeploy.StopStatus][]string `json:"named,omitzero"`
}

func at(ms int64) *shapes.Timestamp { return shapes.At(time.UnixMilli(ms).UTC()) }

func TestDecode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want sample
	}{
		{``, sample{}},
		{" \n", sample{}},
		{`{}`, sample{}},
		{`{"text":"x","flag":false,"small":5,"big":9007199254740993,"real":1,"list":[],"map":{"a":["b"]}}`, sample{
			Text: "x", Flag: new(false), Small: new(int32(5)), Big: new(int64(9007199254740993)), Real: new(1.0), List: []string{}, Map: map[string][]string{"a": {"b"}},
		}},
		{`{"small":5.0,"big":1e3,"real":-2.5e-1}`, sample{Small: new(int32(5)), Big: new(int64(1000)), Real: new(-0.25)}},
		{`{"when":1543431490.226}`, sample{When: at(1543431490226)}},
		{`{"when":1543431490}`, sample{When: at(1543431490000)}},
		{`{"when":1.543431490226E9}`, sample{When: at(1543431490226)}},
		{`{"text":null,"flag":null,"small":null,"when":null,"inner":null,"list":null,"map":null}`, sample{}},
		{`{"Text":"x","TEXT":"y","unknown":{"deep":[1,{"x":null}]}}`, sample{}},
		{`{"inner":{"name":"a","more":1},"structs":[{"name":"b"},{}]}`, sample{Inner: &inner{"a"}, Structs: []inner{{"b"}, {}}}},
		{`{"status":"Nope","events":["DEPLOYMENT_FAILURE"],"named":{"Pending":[]}}`, sample{
			Status: "Nope", Events: []codedeploy.AutoRollbackEvent{"DEPLOYMENT_FAILURE"}, Named: map[codedeploy.StopStatus][]string{"Pending": {}},
		}},
	} {
		var got sample
		if err := shapes.Decode([]byte(c.in), &got); err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.in, diff)
		}
	}
}

func TestDecode_refuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{`:                               "not well-formed",
		`{} {}`:                           "more than one",
		`[]`:                              "not a JSON object",
		`"x"`:                             "not a JSON object",
		`null`:                            "not a JSON object",
		`{"text":1}`:                      "text: expected a string, got a number",
		`{"flag":"true"}`:                 "flag: expected a boolean, got a string",
		`{"small":1.5}`:                   "small: expected an integer of 32 bits",
		`{"small":2147483648}`:            "small: expected an integer of 32 bits",
		`{"small":"1"}`:                   "small: expected an integer of 32 bits, got a string",
		`{"big":1e300}`:                   "big: expected an integer of 64 bits",
		`{"big":9223372036854775808}`:     "big: expected an integer of 64 bits",
		`{"real":1e999}`:                  "real: expected a number",
		`{"real":"x"}`:                    "real: expected a number, got a string",
		`{"when":"2018-11-28T18:58:10Z"}`: "when: expected a timestamp",
		`{"when":1e99}`:                   "when: expected a timestamp",
		`{"inner":[]}`:                    "inner: expected a structure, got a list",
		`{"list":{}}`:                     "list: expected a list, got a structure",
		`{"list":["a",true]}`:             "list[1]: expected a string, got a boolean",
		`{"structs":[{"name":1}]}`:        "structs[0].name: expected a string",
		`{"map":{"k":"v"}}`:               "map.k: expected a list, got a string",
		`{"map":7}`:                       "map: expected a map, got a number",
	} {
		err := shapes.Decode([]byte(in), new(sample))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
	if err := shapes.Decode([]byte(`{}`), sample{}); err == nil {
		t.Error("decoded into a value that is no pointer")
	}
}

// TestEncode: zero strings and nil lists are absent; zero numbers, false and empty lists are not.
func TestEncode(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(sample{Flag: new(false), Small: new(int32(0)), Real: new(90.0), List: []string{}, When: at(1543431490226)})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"flag":false,"small":0,"real":90,"when":1543431490.226,"list":[]}`; string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
	for ms, want := range map[int64]string{0: "0.000", 7: "0.007", -1500: "-1.500", 1543431490000: "1543431490.000"} {
		b, err := json.Marshal(shapes.Timestamp{Time: time.UnixMilli(ms)})
		if err != nil || string(b) != want {
			t.Errorf("%d ms: %s, %v, want %s", ms, b, err, want)
		}
	}
	if shapes.At(time.Time{}) != nil {
		t.Error("the zero time has a timestamp")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	good := sample{Inner: &inner{"abc"}, Small: new(int32(9)), List: []string{"a", "b"}, Status: "Failed"}
	if faults := shapes.Check(&good); len(faults) != 0 {
		t.Errorf("the good one: %q", faults)
	}
	bad := sample{
		Inner: &inner{}, Structs: []inner{{"abcde"}, {"ä"}}, Small: new(int32(0)), List: []string{"a", "b", "c"}, Status: "Nope",
		Events: []codedeploy.AutoRollbackEvent{"DEPLOYMENT_FAILURE", "X"},
	}
	const refused = "failed to satisfy constraint: Member must "
	want := []string{
		"Value '0' at 'small' " + refused + "have value greater than or equal to 1",
		"Value null at 'inner.name' " + refused + "not be null",
		"Value '[a, b, c]' at 'list' " + refused + "have length less than or equal to 2",
		"Value 'abcde' at 'structs.1.member.name' " + refused + "have length less than or equal to 4",
		"Value 'ä' at 'structs.2.member.name' " + refused + "have length greater than or equal to 2",
		"Value 'Nope' at 'status' " + refused + "satisfy enum value set: [Created, Queued, InProgress, Baking, Succeeded, Failed, Stopped, Ready]",
		"Value 'X' at 'events.2.member' " + refused + "satisfy enum value set: [DEPLOYMENT_FAILURE, DEPLOYMENT_STOP_ON_ALARM, DEPLOYMENT_STOP_ON_REQUEST]",
	}
	if diff := cmp.Diff(want, shapes.Check(bad)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Faults is one message, which counts, and repeats no more than a part of a large value.
func TestFaults(t *testing.T) {
	t.Parallel()
	long := struct {
		Name string `json:"Name,omitzero" aws:"max=9"`
		Text string `json:"Text,omitzero" aws:"required"`
	}{Name: strings.Repeat("ä", 5000), Text: "x"}
	got := shapes.Faults(&long)
	if !strings.HasPrefix(got, "1 validation error detected: Value 'ää") || !strings.HasSuffix(got, "ä...' at 'name' failed to satisfy constraint: Member must have length less than or equal to 9") || len(got) > 2300 {
		t.Errorf("got %d bytes: %s", len(got), got)
	}
	if long.Text = ""; !strings.HasPrefix(shapes.Faults(&long), "2 validation errors detected: Value '") {
		t.Errorf("got %s", shapes.Faults(&long))
	}
	tag := struct {
		Key   string `json:"Key,omitzero" aws:"required,min=1,max=128"`
		Value string `json:"Value,omitzero" aws:"required,min=0,max=256"`
	}{Key: "k"}
	if got := shapes.Faults(&tag); got != "" {
		t.Errorf("a tag may have an empty value, got %q", got)
	}
	if got := shapes.Faults(&inner{"abc"}); got != "" {
		t.Errorf("nothing is wrong, got %q", got)
	}
}

// TestGenerated checks what everything else relies on.
func TestGenerated(t *testing.T) {
	t.Parallel()
	ops := codedeploy.Operations()
	i := slices.IndexFunc(ops, func(o shapes.Operation) bool { return o.Name == "GetDeploymentTarget" })
	if i < 0 || ops[i].Input != reflect.TypeFor[codedeploy.GetDeploymentTargetInput]() || ops[i].Output == nil ||
		!slices.Contains(ops[i].Errors, "InvalidDeploymentTargetIdException") {
		t.Errorf("GetDeploymentTarget is not what the model says")
	}
	field, ok := reflect.TypeFor[codedeploy.ECSTaskSet]().FieldByName("Identifer") //nolint:misspell // the wire's own spelling
	if !ok || field.Tag.Get("json") != "identifer,omitzero" {                      //nolint:misspell // the wire's own spelling
		t.Errorf("the wire's own spelling is lost: %q", field.Tag)
	}
	field, _ = reflect.TypeFor[codedeploy.GetApplicationInput]().FieldByName("ApplicationName")
	if field.Tag.Get("aws") != "required,min=1,max=100" {
		t.Errorf("the limits are lost: %q", field.Tag)
	}
	if !codedeploy.DeploymentStatus("Ready").Known() || codedeploy.DeploymentStatus("").Known() || len(codedeploy.ErrorCode("").Values()) != 34 {
		t.Error("the enums are not those of the model")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"text":"x","flag":true,"small":5,"big":1e3,"real":0.5,"when":1543431490.226,"inner":{"name":"n"}}`))
	f.Add([]byte(`{"list":["a"],"structs":[{"name":"b"}],"map":{"k":["v"]},"status":"Failed","events":["X"],"named":{"Pending":["x"]}}`))
	f.Add([]byte(`{"when":-1e9,"list":[null],"map":{"":null}}`))
	f.Add([]byte(`[{}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var first, again sample
		if shapes.Decode(body, &first) != nil {
			return
		}
		shapes.Check(first)
		b, err := json.Marshal(first)
		if err != nil {
			t.Fatalf("decoded %q, but %v", body, err)
		}
		if err := shapes.Decode(b, &again); err != nil {
			t.Fatalf("%q became %s: %v", body, b, err)
		}
		b2, err := json.Marshal(again)
		if err != nil || string(b) != string(b2) {
			t.Fatalf("%s became %s (%v)", b, b2, err)
		}
	})
}
