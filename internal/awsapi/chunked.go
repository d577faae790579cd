package awsapi

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const (
	maxChunkLine = 4 << 10
	maxTrailers  = 8
)

var errChunks = fault("IncompleteBody", "The request body is not made of well-formed chunks.")

// chunkReader reads an aws-chunked body (S3 API reference, "Signature calculations for the Authorization header:
// transferring payload in multiple chunks"). Where chunks are signed each one's signature continues the one before it;
// the first continues that of the request. Bytes are handed out before their chunk was verified: only who reads to the
// end without an error knows that they are the client's.
type chunkReader struct {
	from    *bufio.Reader
	signed  *signedRequest // nil where chunks are not signed
	last    string         // the signature before, in hexadecimal
	sum     hash.Hash      // of the chunk
	claimed string         // the signature that the chunk says it has
	left    int64          // of the chunk
	length  int64          // of the object, what is still to come
	trailer map[string]string
	done    bool
}

// chunks checks the headers of an aws-chunked body. The names of the trailers are keys of the reader's trailer.
func (s *signedRequest) chunks(r *http.Request, body io.Reader, kind string) (*chunkReader, error) {
	length, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
	if err != nil || length < 0 {
		return nil, &Error{Name: "MissingContentLength", Status: http.StatusLengthRequired, Message: "You must provide the x-amz-decoded-content-length HTTP header."}
	}
	c := &chunkReader{from: bufio.NewReaderSize(body, maxChunkLine), length: length, sum: sha256.New(), trailer: map[string]string{}}
	if kind != payloadUnsignedTrailer {
		c.signed, c.last = s, hex.EncodeToString(s.auth.signature)
	}
	if kind != payloadSigned {
		for name := range strings.SplitSeq(r.Header.Get("X-Amz-Trailer"), ",") {
			if name = strings.ToLower(strings.TrimSpace(name)); name != "" && len(c.trailer) < maxTrailers {
				c.trailer[name] = ""
			}
		}
	}
	return c, nil
}

// Read implements io.Reader.
func (c *chunkReader) Read(p []byte) (int, error) {
	for c.left == 0 {
		if c.done {
			return 0, io.EOF
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.from.Read(p)
	c.left -= int64(n)
	c.length -= int64(n)
	c.sum.Write(p[:n])
	if err == nil && c.left == 0 {
		err = c.endChunk()
	}
	if errors.Is(err, io.EOF) {
		err = errChunks
	}
	return n, err
}

// next reads the line before a chunk, and after the last chunk the trailers.
func (c *chunkReader) next() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	size, extension, _ := strings.Cut(line, ";")
	n, err := strconv.ParseInt(size, 16, 64)
	if err != nil || n < 0 || n > c.length || strings.HasPrefix(size, "+") {
		return errChunks
	}
	if c.signed != nil {
		signature, ok := strings.CutPrefix(extension, "chunk-signature=")
		if !ok {
			return errChunks
		}
		c.claimed = signature
	}
	c.left = n
	if n > 0 {
		return nil
	}
	c.done = true
	if c.length != 0 {
		return errChunks
	}
	if err := c.verifyChunk(); err != nil {
		return err
	}
	return c.trailers()
}

// endChunk reads the end of the line after a chunk's bytes and verifies them.
func (c *chunkReader) endChunk() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	if line != "" {
		return errChunks
	}
	return c.verifyChunk()
}

func (c *chunkReader) verifyChunk() error {
	if c.signed == nil {
		return nil
	}
	none := sha256.Sum256(nil)
	what := c.last + "\n" + hex.EncodeToString(none[:]) + "\n" + hex.EncodeToString(c.sum.Sum(nil))
	c.sum.Reset()
	return c.verify("AWS4-HMAC-SHA256-PAYLOAD", what, c.claimed)
}

func (c *chunkReader) verify(algorithm, what, claimed string) error {
	want := hex.EncodeToString(c.signed.sign(algorithm, what))
	if !hmac.Equal([]byte(want), []byte(claimed)) {
		return errSignatureMismatch
	}
	c.last = want
	return nil
}

// trailers reads the lines after the last chunk, to the empty one that ends them.
func (c *chunkReader) trailers() error {
	var canonical bytes.Buffer
	signature, seen := "", map[string]bool{}
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !ok || seen[name] || len(seen) > maxTrailers {
			return errChunks
		}
		seen[name] = true
		if name == "x-amz-trailer-signature" {
			signature = value
			continue
		}
		if _, announced := c.trailer[name]; !announced {
			return errChunks
		}
		c.trailer[name] = value
		canonical.WriteString(name + ":" + value + "\n")
	}
	if c.signed == nil || len(c.trailer) == 0 {
		return nil
	}
	sum := sha256.Sum256(canonical.Bytes())
	return c.verify("AWS4-HMAC-SHA256-TRAILER", c.last+"\n"+hex.EncodeToString(sum[:]), signature)
}

// line reads a line of the framing, without its end.
func (c *chunkReader) line() (string, error) {
	line, err := c.from.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, bufio.ErrBufferFull):
		return "", errChunks
	case err != nil:
		return "", err
	}
	text, ok := strings.CutSuffix(string(line), "\r\n")
	if !ok {
		return "", errChunks
	}
	return text, nil
}
