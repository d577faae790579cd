package scenario

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/websocket"
)

// maxHandshake bounds what is kept of the answer with which a WebSocket begins, in bytes.
const maxHandshake = 64 << 10

// handshake is a connection that keeps the head of the first answer: the library does not tell it, and it says who answered.
type handshake struct {
	net.Conn
	head  []byte
	whole bool
}

func (c *handshake) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.whole && len(c.head) < maxHandshake {
		c.head = append(c.head, p[:n]...)
		c.whole = bytes.Contains(c.head, []byte("\r\n\r\n"))
	}
	return n, err
}

// answer is the answer to the request that opened the WebSocket, or nil.
func (c *handshake) answer(req *http.Request) *http.Response {
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(c.head)), req)
	if err != nil {
		return nil
	}
	_ = res.Body.Close() // nothing is behind it
	return res
}

// dialSocket opens a WebSocket and returns it with the answer that opened it. Either may be nil with an error.
func dialSocket(ctx context.Context, conf *websocket.Config) (*websocket.Conn, *http.Response, error) {
	u := conf.Location
	port := u.Port()
	if port == "" {
		port = map[string]string{"ws": "80", "wss": "443"}[u.Scheme]
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	raw, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, nil, err
	}
	conn := raw
	if u.Scheme == "wss" {
		config := conf.TlsConfig.Clone()
		if config.ServerName == "" {
			config.ServerName = u.Hostname()
		}
		secure := tls.Client(raw, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = raw.Close() // it was not opened
			return nil, nil, err
		}
		conn = secure
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	kept := &handshake{Conn: conn}
	socket, err := websocket.NewClient(conf, kept)
	res := kept.answer(&http.Request{Method: http.MethodGet, URL: u, Header: conf.Header})
	if err != nil {
		_ = conn.Close() // it was not opened
		if res != nil {
			err = fmt.Errorf("%w (%s)", err, res.Status)
		}
		return nil, res, err
	}
	return socket, res, nil
}
