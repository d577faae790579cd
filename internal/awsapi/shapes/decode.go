package shapes

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// MaxDepth is how deep the values of a body may be nested, in whatever format. No shape of ours comes near.
const MaxDepth = 64

// Decode reads a JSON object into the structure that into points to. Unlike encoding/json it takes keys exactly as they
// are spelt, ignores unknown ones, takes null as absent, and takes 5.0 as an integer. An empty body is an empty object.
// Members that the protocol carries outside the body are left alone.
// Errors say where and what: "deploymentIds[2]: expected a string, got a number".
func Decode(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return Fill(map[string]any{}, into)
	}
	if tooDeep(body) {
		return fmt.Errorf("the body is nested more than %d deep", MaxDepth)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var raw any
	if err := d.Decode(&raw); err != nil {
		return errors.New("the body is not well-formed JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the body holds more than one JSON value")
	}
	object, ok := raw.(map[string]any)
	if !ok {
		return errors.New("the body is not a JSON object")
	}
	return Fill(object, into)
}

// Fill puts a decoded body into the structure that into points to, by the rules of Decode. Values are nil, string, bool,
// json.Number, int64, float64, []byte, time.Time, []any and map[string]any; a string is also taken as the base64 of a blob.
func Fill(object map[string]any, into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("decode into %T: not a pointer to a structure", into)
	}
	return decodeValue("", object, v.Elem())
}

// tooDeep reports whether JSON is nested deeper than MaxDepth, before anything is built from it.
func tooDeep(body []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

func decodeValue(path string, raw any, v reflect.Value) error {
	if raw == nil {
		return nil
	}
	if v.Type() == reflect.TypeFor[Timestamp]() {
		return decodeTimestamp(path, raw, v)
	}
	switch v.Kind() { //nolint:exhaustive // the generator emits no other kinds
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		if err := decodeValue(path, raw, p.Elem()); err != nil {
			return err
		}
		v.Set(p)
		return nil
	case reflect.Struct:
		return decodeStruct(path, raw, v)
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[[]byte]() {
			return decodeBlob(path, raw, v)
		}
		return decodeList(path, raw, v)
	case reflect.Map:
		return decodeMap(path, raw, v)
	case reflect.Interface: // a document: whatever it is
		if v.NumMethod() == 0 {
			v.Set(reflect.ValueOf(raw))
		}
		return nil
	}
	return decodeScalar(path, raw, v)
}

func decodeStruct(path string, raw any, v reflect.Value) error {
	object, ok := raw.(map[string]any)
	if !ok {
		return mismatch(path, "a structure", raw)
	}
	for field, value := range v.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		member, ok := object[name]
		if !ok || member == nil || OutsideBody(field.Tag.Get("wire")) {
			continue
		}
		if err := decodeValue(join(path, name), member, value); err != nil {
			return err
		}
	}
	return nil
}

func decodeList(path string, raw any, v reflect.Value) error {
	list, ok := raw.([]any)
	if !ok {
		return mismatch(path, "a list", raw)
	}
	out := reflect.MakeSlice(v.Type(), len(list), len(list))
	for i, member := range list {
		if err := decodeValue(path+"["+strconv.Itoa(i)+"]", member, out.Index(i)); err != nil {
			return err
		}
	}
	v.Set(out)
	return nil
}

func decodeMap(path string, raw any, v reflect.Value) error {
	object, ok := raw.(map[string]any)
	if !ok {
		return mismatch(path, "a map", raw)
	}
	out := reflect.MakeMapWithSize(v.Type(), len(object))
	for name, member := range object {
		value := reflect.New(v.Type().Elem()).Elem()
		if err := decodeValue(join(path, name), member, value); err != nil {
			return err
		}
		out.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), value)
	}
	v.Set(out)
	return nil
}

// OutsideBody reports whether a wire tag places the member in the URI, the headers or the status.
func OutsideBody(tag string) bool {
	place, _, _ := strings.Cut(tag, "=")
	switch place {
	case "uri", "query", "header", "headers":
		return true
	}
	return tag == "status"
}

func decodeBlob(path string, raw any, v reflect.Value) error {
	switch raw := raw.(type) {
	case []byte:
		v.SetBytes(raw)
		return nil
	case string:
		b, err := base64.StdEncoding.DecodeString(raw)
		if err != nil {
			return fmt.Errorf("%s: expected base64", path)
		}
		v.SetBytes(b)
		return nil
	}
	return mismatch(path, "a blob (base64)", raw)
}

func decodeTimestamp(path string, raw any, v reflect.Value) error {
	switch raw := raw.(type) {
	case json.Number:
		t, err := parseTimestamp(raw.String())
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		v.Set(reflect.ValueOf(t))
		return nil
	case time.Time:
		if raw.Unix() > maxSeconds || raw.Unix() < -maxSeconds {
			return fmt.Errorf("%s: expected a timestamp (seconds since 1970)", path)
		}
		v.Set(reflect.ValueOf(Timestamp{raw.UTC().Round(time.Millisecond)}))
		return nil
	}
	return mismatch(path, "a timestamp (seconds since 1970)", raw)
}

func decodeScalar(path string, raw any, v reflect.Value) error {
	switch v.Kind() { //nolint:exhaustive // the generator emits no other kinds
	case reflect.String:
		s, ok := raw.(string)
		if !ok {
			return mismatch(path, "a string", raw)
		}
		v.SetString(s)
	case reflect.Bool:
		b, ok := raw.(bool)
		if !ok {
			return mismatch(path, "a boolean", raw)
		}
		v.SetBool(b)
	case reflect.Int32, reflect.Int64:
		n, ok := integer(raw)
		if !ok || v.OverflowInt(n) {
			return mismatch(path, fmt.Sprintf("an integer of %d bits", v.Type().Bits()), raw)
		}
		v.SetInt(n)
	case reflect.Float64:
		f, ok := float(raw)
		if !ok {
			return mismatch(path, "a number", raw)
		}
		v.SetFloat(f)
	default:
		return fmt.Errorf("%s: no decoder for %s", path, v.Type())
	}
	return nil
}

// integer reads a number without a fractional part, however it is written.
func integer(raw any) (int64, bool) {
	switch n := raw.(type) {
	case int64:
		return n, true
	case json.Number:
		if i, err := n.Int64(); err == nil {
			return i, true
		}
	}
	f, ok := float(raw)
	if !ok || f != math.Trunc(f) || math.Abs(f) >= 1<<53 {
		return 0, false
	}
	return int64(f), true
}

func float(raw any) (float64, bool) {
	switch n := raw.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	}
	return 0, false
}

func mismatch(path, want string, raw any) error {
	got := "something else"
	switch raw.(type) {
	case nil:
		got = "null"
	case string:
		got = "a string"
	case bool:
		got = "a boolean"
	case json.Number, int64, float64:
		got = "a number"
	case []byte:
		got = "a blob"
	case time.Time:
		got = "a timestamp"
	case []any:
		got = "a list"
	case map[string]any:
		got = "a structure"
	}
	if got == "a number" && strings.HasPrefix(want, "an integer") {
		got = "another number"
	}
	return fmt.Errorf("%s: expected %s, got %s", path, want, got)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
