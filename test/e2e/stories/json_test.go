package stories

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// document is stdout as the one JSON document it must be.
func (s *story) document() any {
	s.Helper()
	d := json.NewDecoder(strings.NewReader(s.stdout))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		s.Fatalf("stdout is no JSON: %v\n%s", err, clip(s.stdout))
	}
	if d.More() {
		s.Fatalf("stdout is more than one document:\n%s", clip(s.stdout))
	}
	return v
}

func (s *story) jsonLines(bool, []string) {
	s.Helper()
	if s.stdout == "" {
		s.Error("there is no line")
	}
	for line := range strings.Lines(s.stdout) {
		if !json.Valid([]byte(line)) {
			s.Errorf("no JSON: %s", line)
		}
	}
}

// field compares a value of the document. Lists take an index, also from the end, and # for their length.
func (s *story) field(not bool, args []string) {
	s.Helper()
	v := s.document()
	for name := range strings.SplitSeq(args[0], ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case []any:
			v = item(at, name)
		default:
			v = nil
		}
	}
	text := ""
	switch v := v.(type) {
	case nil:
	case string:
		text = v
	case json.Number, bool, int:
		text = fmt.Sprint(v)
	default:
		data, err := json.Marshal(v)
		s.must(err)
		text = string(data)
	}
	s.match(args[0]+" of "+s.stdout, text, not, args[1])
}

func item(list []any, index string) any {
	if index == "#" {
		return len(list)
	}
	i, err := strconv.Atoi(index)
	if i < 0 {
		i += len(list)
	}
	if err != nil || i < 0 || i >= len(list) {
		return nil
	}
	return list[i]
}
