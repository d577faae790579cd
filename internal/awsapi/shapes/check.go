package shapes

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Check compares a value with what its model says and returns all faults in the words that the services of AWS use: required
// members that are absent, lengths and numbers out of bounds, values that an enum does not have.
func Check(shape any) []string {
	v := reflect.ValueOf(shape)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	var faults []string
	checkValue("", v, &faults)
	return faults
}

// Faults are what Check finds as one message, as most services send it; empty where there is none.
func Faults(shape any) string {
	faults := Check(shape)
	switch len(faults) {
	case 0:
		return ""
	case 1:
		return "1 validation error detected: " + faults[0]
	}
	return strconv.Itoa(len(faults)) + " validation errors detected: " + strings.Join(faults, "; ")
}

// Unfit words that a member's value breaks a rule; what follows "Member must".
func Unfit(path, value, must string) string {
	if len(value) > maxEcho {
		value = strings.ToValidUTF8(value[:maxEcho], "") + "..."
	}
	return "Value '" + value + "' at '" + path + "' failed to satisfy constraint: Member must " + must
}

// maxEcho bounds what is repeated of a value.
const maxEcho = 2048

// enum is what the generated enum types have.
type enum interface {
	Known() bool
	Values() []string
}

func checkValue(path string, v reflect.Value, faults *[]string) {
	if v.Type() == reflect.TypeFor[Timestamp]() {
		return
	}
	if e, ok := reflect.TypeAssert[enum](v); ok && v.Len() > 0 && !e.Known() {
		*faults = append(*faults, Unfit(path, v.String(), "satisfy enum value set: ["+strings.Join(e.Values(), ", ")+"]"))
	}
	switch v.Kind() { //nolint:exhaustive // scalars hold nothing further
	case reflect.Struct:
		for field, value := range v.Fields() {
			checkMember(path, field, value, faults)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			checkValue(path+"."+strconv.Itoa(i+1)+".member", v.Index(i), faults)
		}
	case reflect.Map:
		for k, value := range v.Seq2() {
			checkValue(join(path, k.String()), value, faults)
		}
	}
}

func checkMember(path string, field reflect.StructField, v reflect.Value, faults *[]string) {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	path = join(path, lowerFirst(name))
	rules := strings.Split(field.Tag.Get("aws"), ",")
	if v.IsZero() {
		// Text that may be empty, as the value of a tag, cannot be told from text that is absent.
		if rules[0] == "required" && (v.Kind() != reflect.String || !slices.Contains(rules, "min=0")) {
			*faults = append(*faults, "Value null at '"+path+"' failed to satisfy constraint: Member must not be null")
		}
		return
	}
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() == reflect.Interface {
		return // a document or a stream: the model says nothing of what is inside
	}
	for _, rule := range rules {
		bound, value, ok := strings.Cut(rule, "=")
		if !ok {
			continue
		}
		if limit, err := strconv.ParseFloat(value, 64); err == nil && outside(bound, size(v), limit) {
			what := map[string]string{"min": " greater than or equal to ", "max": " less than or equal to "}[bound]
			*faults = append(*faults, Unfit(path, echo(v), "have "+measure(v)+what+value))
		}
	}
	checkValue(path, v, faults)
}

// lowerFirst makes a name one of messages: those begin small where the wire's begins with a capital.
func lowerFirst(name string) string {
	if name == "" {
		return ""
	}
	return strings.ToLower(name[:1]) + name[1:]
}

// measure is what is bounded of a value.
func measure(v reflect.Value) string {
	switch v.Kind() { //nolint:exhaustive // numbers are bounded themselves
	case reflect.String, reflect.Slice, reflect.Map:
		return "length"
	}
	return "value"
}

// echo is a value as messages repeat it. Of a list of structures only the number is told.
func echo(v reflect.Value) string {
	switch v.Kind() { //nolint:exhaustive // the rest are numbers
	case reflect.String:
		return v.String()
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.String {
			return "[" + strings.Join(texts(v), ", ") + "]"
		}
		return strconv.Itoa(v.Len()) + " members"
	case reflect.Map:
		return strconv.Itoa(v.Len()) + " members"
	}
	return strconv.FormatFloat(size(v), 'f', -1, 64)
}

func texts(v reflect.Value) []string {
	out := make([]string, v.Len())
	for i := range out {
		out[i] = v.Index(i).String()
	}
	return out
}

func outside(bound string, n, limit float64) bool {
	return bound == "min" && n < limit || bound == "max" && n > limit
}

// size is what min and max speak of: characters, members, or the number itself.
func size(v reflect.Value) float64 {
	switch v.Kind() { //nolint:exhaustive // structures and booleans have no bounds
	case reflect.String:
		return float64(utf8.RuneCountInString(v.String()))
	case reflect.Slice, reflect.Map:
		return float64(v.Len())
	case reflect.Int32, reflect.Int64:
		return float64(v.Int())
	case reflect.Float64:
		return v.Float()
	}
	return 0
}
