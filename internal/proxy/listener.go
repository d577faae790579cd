package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// listener is one listening socket and its client connections. It lives as long as a table has its address.
type listener struct {
	routing
	srv     *Server
	address string // as in the table

	mu      sync.Mutex
	name    string
	tcp     *net.TCPListener // nil while it could not be opened
	failure error
	conns   map[*clientConn]struct{}
	h2      *http.Server // made for the first h2 connection
	h2conns *connQueue
	closed  bool
	wg      sync.WaitGroup
}

func newListener(s *Server, l Listener) *listener {
	nl := &listener{srv: s, address: l.Address, name: l.Name, conns: map[*clientConn]struct{}{}}
	nl.current.Store(&route{limits: Limits{}.withDefaults()})
	return nl
}

// inheritedKey is under which name a listening socket is kept by the supervisor.
func inheritedKey(address string) string { return "listener:" + address }

// open takes the kept socket of the address, or opens one.
func (l *listener) open(ctx context.Context, kept map[string]net.Listener) error {
	key := inheritedKey(l.address)
	if ln, ok := kept[key].(*net.TCPListener); ok {
		delete(kept, key)
		l.setSocket(ln)
		return nil
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", l.address)
	if err != nil {
		l.mu.Lock()
		l.failure = err
		l.mu.Unlock()
		return err
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return errors.Join(fmt.Errorf("listen on %s: not a TCP socket", l.address), ln.Close())
	}
	if l.srv.keep != nil {
		if err := l.srv.keep(key, tcp); err != nil {
			// Serving is worth more than being able to restart unnoticed.
			l.srv.log.WarnContext(ctx, "listening socket is not kept; a restart will refuse connections for a moment",
				"address", l.address, "error", err)
		}
	}
	l.setSocket(tcp)
	return nil
}

func (l *listener) setSocket(tcp *net.TCPListener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tcp, l.failure = tcp, nil
}

func (l *listener) rename(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.name = name
}

func (l *listener) isOpen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tcp != nil
}

func (l *listener) ack() ListenerAck {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := ListenerAck{Name: l.name, Address: l.address}
	if l.tcp != nil {
		a.Bound = l.tcp.Addr().String()
	}
	if l.failure != nil {
		a.Error = l.failure.Error()
	}
	return a
}

func (l *listener) status() ListenerStatus {
	s := ListenerStatus{ListenerAck: l.ack()}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Connections = len(l.conns)
	if l.h2conns != nil {
		s.Connections += l.h2conns.count()
	}
	return s
}

// start accepts connections until the socket is closed.
func (l *listener) start(ctx context.Context) {
	l.mu.Lock()
	tcp := l.tcp
	l.mu.Unlock()
	l.wg.Go(func() { l.accept(ctx, tcp) })
}

func (l *listener) accept(ctx context.Context, tcp *net.TCPListener) {
	const pauseMost = time.Second
	pause := 5 * time.Millisecond
	for {
		conn, err := tcp.AcceptTCP()
		switch {
		case err == nil:
			pause = 5 * time.Millisecond
			l.take(ctx, conn)
		case errors.Is(err, net.ErrClosed):
			return
		default: // out of descriptors or memory: others may end soon
			l.srv.log.ErrorContext(ctx, "connection was not accepted", "address", l.address, "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, pauseMost)
		}
	}
}

func (l *listener) take(ctx context.Context, conn *net.TCPConn) {
	c, err := newClientConn(l.srv, l, conn)
	if err != nil {
		_ = conn.Close()
		return
	}
	l.add(c)
	l.wg.Go(func() {
		handed := c.serve(ctx)
		l.remove(c)
		if handed {
			l.toH2(ctx, c)
			return
		}
		_ = conn.Close()
	})
}

// add registers a connection. One that was accepted just when the listener closed is served too: its client may have
// sent a request already.
func (l *listener) add(c *clientConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = struct{}{}
	if l.closed {
		c.closeWhenIdle()
	}
}

func (l *listener) remove(c *clientConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// close ends accepting, and connections once they are idle.
func (l *listener) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	// First the connections: whoever sees the socket closed gets a response that says so too.
	for c := range l.conns {
		c.closeWhenIdle()
	}
	if l.tcp != nil {
		_ = l.tcp.Close()
	}
}

// wait returns when all connections have ended. Those that have not when ctx ends are closed.
func (l *listener) wait(ctx context.Context) {
	l.mu.Lock()
	h2 := l.h2
	l.mu.Unlock()
	if h2 != nil {
		if err := h2.Shutdown(ctx); err != nil {
			_ = h2.Close()
		}
	}
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for c := range l.conns {
			_ = c.conn.Close()
		}
	})
	defer stop()
	l.wg.Wait()
}

// originOf tells what is known of the client of a connection.
func (s *Server) originOf(conn net.Conn) origin {
	o := origin{host: conn.LocalAddr().String()}
	ap, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return o
	}
	ip := ap.Addr().Unmap().WithZone("")
	o.ip, o.addr = ip.String(), ip
	for _, p := range s.trusted {
		o.trusted = o.trusted || p.Contains(ip)
	}
	return o
}
