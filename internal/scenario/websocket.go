package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/websocket"
)

// maxMessage bounds a WebSocket message that is received, in bytes.
const maxMessage = 1 << 20

// talk holds the step's WebSocket conversation: it sends all messages, then waits for as many as the step wants.
func (x *execution) talk(ctx context.Context, st *step, sc *scope) (observation, error) {
	values := x.values(sc, nil)
	conf, out, err := x.dialogue(st, values)
	if err != nil {
		return observation{}, unready{err}
	}
	var sent, received []string
	o := observation{keep: func(a *Attempt) {
		a.Request = &Request{Method: http.MethodGet, URL: x.mask.text(conf.Location.String()), Headers: x.mask.headers(conf.Header)}
		for _, m := range sent {
			a.Messages = append(a.Messages, "> "+clip(x.mask.text(m), maxOperand))
		}
		for _, m := range received {
			a.Messages = append(a.Messages, "< "+clip(x.mask.text(m), maxOperand))
		}
	}}
	begin := time.Now()
	conn, res, err := dialSocket(ctx, conf) //nolint:bodyclose // it is closed
	if err != nil {
		return o, transportError(ctx, fmt.Errorf("open WebSocket: %w", err))
	}
	defer func() { _ = conn.Close() }() // what was received is known by then
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn.MaxPayloadBytes = maxMessage
	for _, m := range out {
		if err := websocket.Message.Send(conn, m); err != nil {
			return o, transportError(ctx, fmt.Errorf("send message: %w", err))
		}
		sent = append(sent, m)
	}
	messages := []any{}
	for range st.websocket.receive {
		var m string
		if err := websocket.Message.Receive(conn, &m); err != nil {
			return o, transportError(ctx, fmt.Errorf("wait for message %d of %d: %w", len(messages)+1, st.websocket.receive, err))
		}
		received = append(received, m)
		messages = append(messages, decodeBody("", []byte(m)))
	}
	o.seen = map[string]any{"messages": messages, "latency": time.Since(begin)}
	if res == nil { // the library has read one, so this is a fault of ours
		return o, errors.New("the answer that opened the WebSocket was lost")
	}
	o.checks, o.problems = x.proofs(st, res, nil)
	return o, x.stranger(res)
}

// dialogue is the configuration of the conversation, and the messages to send.
func (x *execution) dialogue(st *step, values map[string]any) (*websocket.Config, []string, error) {
	target, err := st.websocket.url.string(values)
	if err != nil {
		return nil, nil, err
	}
	u, err := address(target, x.o.BaseURL)
	if err != nil {
		return nil, nil, err
	}
	x.hideUser(u)
	origin := &url.URL{Scheme: u.Scheme, Host: u.Host}
	u.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
	conf := &websocket.Config{
		Location: u, Origin: origin, Protocol: st.websocket.protocols, Version: websocket.ProtocolVersionHybi13, Header: http.Header{},
	}
	if conf.TlsConfig, err = x.s.tls.config(); err != nil {
		return nil, nil, err
	}
	req := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: conf.Header}
	if err := x.headers(req, st.request, values); err != nil {
		return nil, nil, err
	}
	if err := st.request.auth.apply(req, nil, values, x.mask); err != nil {
		return nil, nil, err
	}
	var out []string
	for i, t := range st.websocket.send {
		v, err := t.resolve(values)
		if err != nil {
			return nil, nil, fmt.Errorf("send[%d]: %w", i, err)
		}
		text, ok := v.(string)
		if !ok {
			content, err := encodeJSON(v)
			if err != nil {
				return nil, nil, errors.Join(fmt.Errorf("send[%d]", i), err)
			}
			text = string(content)
		}
		out = append(out, text)
	}
	return conf, out, nil
}
