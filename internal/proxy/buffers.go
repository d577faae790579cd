package proxy

import "sync"

// relayBuffer is the size of the pieces in which bodies that are not in memory yet are passed on.
const relayBuffer = 32 << 10

type buffer struct{ b []byte }

// buffers lends buffers to bodies while they move.
type buffers struct{ pool sync.Pool }

func (p *buffers) get() *buffer {
	if b, ok := p.pool.Get().(*buffer); ok {
		return b
	}
	return &buffer{b: make([]byte, relayBuffer)}
}

func (p *buffers) put(b *buffer) { p.pool.Put(b) }
