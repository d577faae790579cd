package appspec

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// readJSON reads one JSON value with the positions that encoding/json does not keep.
func readJSON(data []byte) (*node, []Fault) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	r := &jsonReader{dec: dec, data: data, budget: maxNodes, last: position{1, 1}}
	tree, err := r.value(0)
	if err == nil {
		if _, err = dec.Token(); errors.Is(err, io.EOF) {
			return tree, nil
		}
		return nil, []Fault{r.place().fault("", "there is something behind the JSON value")}
	}
	return nil, []Fault{r.fault(err)}
}

var errTooBig = errors.New("the file holds too many values or nests them too deep")

type jsonReader struct {
	dec    *json.Decoder
	data   []byte
	budget int
	// seen is the offset up to which lines were counted; last is its position.
	seen int64
	last position
}

// at is the position of an offset. Offsets come in rising order, so that each byte is counted once.
func (r *jsonReader) at(offset int64) position {
	for r.seen < min(offset, int64(len(r.data))) {
		c, size := utf8.DecodeRune(r.data[r.seen:])
		r.seen += int64(size)
		if c == '\n' {
			r.last = position{r.last.line + 1, 1}
		} else {
			r.last.column++
		}
	}
	return r.last
}

// place is the position of the next token.
func (r *jsonReader) place() position {
	offset := r.dec.InputOffset()
	for offset < int64(len(r.data)) && bytes.IndexByte([]byte(" \t\r\n,:"), r.data[offset]) >= 0 {
		offset++
	}
	return r.at(offset)
}

func (r *jsonReader) fault(err error) Fault {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, errTooBig):
		return r.last.fault("", "%v", err)
	case errors.As(err, &syntax):
		return r.at(syntax.Offset-1).fault("", "is not JSON: %s", syntax.Error())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return r.at(int64(len(r.data))).fault("", "is not JSON: it ends too early")
	}
	return r.last.fault("", "is not JSON: %v", err)
}

func (r *jsonReader) value(depth int) (*node, error) {
	n := &node{at: r.place()}
	if r.budget--; r.budget < 0 || depth > maxDepth {
		return nil, errTooBig
	}
	token, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return n, r.object(n, depth)
		}
		return n, r.array(n, depth)
	case string:
		n.kind, n.text = kindText, t
	case json.Number:
		n.kind, n.text = kindNumber, t.String()
	case bool:
		n.kind, n.text = kindBool, map[bool]string{true: "true", false: "false"}[t]
	case nil:
		n.kind = kindNull
	}
	return n, nil
}

func (r *jsonReader) object(n *node, depth int) error {
	n.kind = kindMap
	for r.dec.More() {
		at := r.place()
		token, err := r.dec.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string) // the decoder lets nothing else be a key
		value, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.entries = append(n.entries, entry{key, at, value})
	}
	_, err := r.dec.Token()
	return err
}

func (r *jsonReader) array(n *node, depth int) error {
	n.kind = kindList
	for r.dec.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	_, err := r.dec.Token()
	return err
}
