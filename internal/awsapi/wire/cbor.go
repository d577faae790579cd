package wire

import (
	"fmt"
	"net/http"
	"reflect"

	"github.com/fxamacker/cbor/v2"

	"greengate/internal/awsapi/shapes"
)

// Headers of rpc-v2-cbor: clients look for them in requests and answers.
const (
	ProtocolHeader = "Smithy-Protocol"
	ProtocolCBOR   = "rpc-v2-cbor"
)

// CBOR is Smithy's rpc-v2-cbor: POST /service/NAME/operation/OPERATION. It is made by NewCBOR.
type CBOR struct {
	enc cbor.EncMode
	dec cbor.DecMode
}

// NewCBOR returns the codec.
func NewCBOR() (CBOR, error) {
	enc, err := cbor.EncOptions{Sort: cbor.SortBytewiseLexical, NaNConvert: cbor.NaNConvert7e00, ShortestFloat: cbor.ShortestFloatNone}.EncMode()
	if err != nil {
		return CBOR{}, fmt.Errorf("create CBOR encoder: %w", err)
	}
	dec, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, MaxNestedLevels: shapes.MaxDepth, IntDec: cbor.IntDecConvertSignedOrBigInt,
		DefaultMapType: reflect.TypeFor[map[string]any](), BigIntDec: cbor.BigIntDecodePointer,
	}.DecMode()
	if err != nil {
		return CBOR{}, fmt.Errorf("create CBOR decoder: %w", err)
	}
	return CBOR{enc, dec}, nil
}

// Decode implements Codec.
func (c CBOR) Decode(op *Operation, r *Request, into any) error {
	if _, err := op.into(into); err != nil {
		return err
	}
	object := map[string]any{}
	if len(r.Body) > 0 {
		if err := c.dec.Unmarshal(r.Body, &object); err != nil {
			return malformed("the body is not a well-formed CBOR map")
		}
	}
	if err := shapes.Fill(object, into); err != nil {
		return malformed("%s", err.Error())
	}
	return nil
}

// Encode implements Codec.
func (c CBOR) Encode(op *Operation, out any, _ string) (*Response, error) {
	v, err := op.outOf(out)
	if err != nil {
		return nil, err
	}
	r := newResponse(op)
	r.Header.Set(ProtocolHeader, ProtocolCBOR)
	if !v.IsValid() {
		return r, nil
	}
	tree, err := cborTree(op.out, v)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", op.Name, err)
	}
	r.Header.Set(contentType, contentCBOR)
	r.Body, err = c.enc.Marshal(tree)
	return r, err
}

// cborTree turns a value into what the CBOR library writes: timestamps are tag 1 over seconds.
func cborTree(s *shape, v reflect.Value) (any, error) {
	switch s.kind { //nolint:exhaustive // the library knows the others
	case kindStructure:
		return cborStructure(s, v)
	case kindList:
		out := make([]any, v.Len())
		for i := range out {
			var err error
			if out[i], err = cborTree(s.elem, v.Index(i)); err != nil {
				return nil, err
			}
		}
		return out, nil
	case kindMap:
		return cborMap(s, v)
	case kindTimestamp:
		if t, ok := reflect.TypeAssert[shapes.Timestamp](v); ok {
			return cbor.Tag{Number: 1, Content: float64(t.UnixMilli()) / 1000}, nil
		}
	case kindText, kindBoolean, kindInteger, kindFloat, kindBlob:
		return v.Interface(), nil
	}
	return nil, fmt.Errorf("no CBOR for a %s", s.kind)
}

func cborStructure(s *shape, v reflect.Value) (any, error) {
	out := map[string]any{}
	for i := range s.members {
		m := &s.members[i]
		f, ok := m.field(v)
		if !ok {
			continue
		}
		below, err := cborTree(m.shape, f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.label, err)
		}
		out[m.label] = below
	}
	return out, nil
}

func cborMap(s *shape, v reflect.Value) (any, error) {
	out := make(map[string]any, v.Len())
	for k, value := range v.Seq2() {
		below, err := cborTree(s.elem, value)
		if err != nil {
			return nil, err
		}
		out[k.String()] = below
	}
	return out, nil
}

// EncodeFault implements Codec.
func (c CBOR) EncodeFault(s *Service, f Fault) *Response {
	e := resolve(s, f, dialectJSON)
	r := &Response{Status: e.status, Header: http.Header{contentType: {contentCBOR}, ProtocolHeader: {ProtocolCBOR}}}
	r.Body, _ = c.enc.Marshal(map[string]string{"__type": e.name, e.member: e.message}) // strings always encode
	queryError(s, e, r)
	return r
}
