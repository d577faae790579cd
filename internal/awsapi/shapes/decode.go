package shapes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// Decode reads a JSON object into the structure that into points to. Unlike encoding/json it takes keys exactly as they
// are spelt, ignores unknown ones, takes null as absent, and takes 5.0 as an integer. An empty body is an empty object.
// Errors say where and what: "deploymentIds[2]: expected a string, got a number".
func Decode(body []byte, into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("decode into %T: not a pointer to a structure", into)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
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
	if _, ok := raw.(map[string]any); !ok {
		return errors.New("the body is not a JSON object")
	}
	return decodeValue("", raw, v.Elem())
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
		return decodeList(path, raw, v)
	case reflect.Map:
		return decodeMap(path, raw, v)
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
		if !ok {
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

func decodeTimestamp(path string, raw any, v reflect.Value) error {
	n, ok := raw.(json.Number)
	if !ok {
		return mismatch(path, "a timestamp (seconds since 1970)", raw)
	}
	t, err := parseTimestamp(n.String())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	v.Set(reflect.ValueOf(t))
	return nil
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
		n, ok := raw.(json.Number)
		f, err := n.Float64()
		if !ok || err != nil {
			return mismatch(path, "a number", raw)
		}
		v.SetFloat(f)
	default:
		return fmt.Errorf("%s: no decoder for %s", path, v.Type())
	}
	return nil
}

// integer reads a JSON number without a fractional part, however it is written.
func integer(raw any) (int64, bool) {
	n, ok := raw.(json.Number)
	if !ok {
		return 0, false
	}
	if i, err := n.Int64(); err == nil {
		return i, true
	}
	f, err := n.Float64()
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<53 {
		return 0, false
	}
	return int64(f), true
}

func mismatch(path, want string, raw any) error {
	got := "null"
	switch raw.(type) {
	case string:
		got = "a string"
	case bool:
		got = "a boolean"
	case json.Number:
		got = "a number"
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
