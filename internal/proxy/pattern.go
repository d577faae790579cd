package proxy

// maxPattern is the longest pattern, in bytes, wildcards and escapes included. A pattern's state is that many bits.
const maxPattern = 128

// tokenSet has one bit for each token of a pattern.
type tokenSet struct{ lo, hi uint64 }

func bit(i int) tokenSet {
	if i < 64 {
		return tokenSet{lo: 1 << i}
	}
	return tokenSet{hi: 1 << (i - 64)}
}

func (b tokenSet) or(o tokenSet) tokenSet { return tokenSet{b.lo | o.lo, b.hi | o.hi} }

// pattern is a text with wildcards: * stands for any bytes or none, ? for exactly one. It is run as an automaton whose
// states are the bits of two words, so that each byte of a subject is looked at once, whatever the pattern: who sends
// a request cannot make it slow.
type pattern struct {
	class [256]uint8 // of each byte: which of accept it has
	// accept tells which tokens take a byte of that class.
	accept []tokenSet
	stay   tokenSet // tokens that a * follows
	last   tokenSet // the last token
	sure   tokenSet // the last token if a * follows it: the rest of the subject does not matter
	// again is 1 if the pattern begins with a *: it may begin at each byte. Else it is 0.
	again uint64
	empty bool // has no tokens but *
}

// token is one element of a pattern: a byte, or a wildcard.
type token struct {
	char     byte
	wildcard bool
}

// tokens takes a pattern apart. With escapes \* and \? stand for the characters themselves; any other \ is one.
func tokens(text string, escapes bool) []token {
	list := make([]token, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if escapes && c == '\\' && i+1 < len(text) && (text[i+1] == '*' || text[i+1] == '?') {
			i++
			list = append(list, token{char: text[i]})
			continue
		}
		list = append(list, token{char: c, wildcard: c == '*' || c == '?'})
	}
	return list
}

// compilePattern expects at most maxPattern tokens. fold makes it blind to the case of ASCII letters.
func compilePattern(list []token, fold bool) *pattern {
	p := &pattern{}
	var takes [256]tokenSet
	n := 0
	for _, t := range list {
		switch {
		case t.wildcard && t.char == '*' && n == 0:
			p.again = 1
		case t.wildcard && t.char == '*':
			p.stay = p.stay.or(bit(n - 1))
		case t.wildcard:
			for c := range takes {
				takes[c] = takes[c].or(bit(n))
			}
			n++
		default:
			for c := range takes {
				if byte(c) == t.char || (fold && lower(byte(c)) == lower(t.char)) {
					takes[c] = takes[c].or(bit(n))
				}
			}
			n++
		}
	}
	if n == 0 {
		p.empty = true
		return p
	}
	p.last = bit(n - 1)
	p.sure = tokenSet{p.last.lo & p.stay.lo, p.last.hi & p.stay.hi}
	p.classify(&takes)
	return p
}

// classify gives bytes that the same tokens take one class: patterns are short, so there are few.
func (p *pattern) classify(takes *[256]tokenSet) {
	known := map[tokenSet]uint8{}
	for c, b := range takes {
		class, ok := known[b]
		if !ok {
			class = uint8(len(p.accept)) //nolint:gosec // at most 256 bytes have at most 256 classes
			known[b] = class
			p.accept = append(p.accept, b)
		}
		p.class[c] = class
	}
}

// match tells whether the pattern covers all of subject. It takes one step for each byte and allocates nothing.
func (p *pattern) match(subject []byte) bool {
	if p.empty {
		return p.again == 1 || len(subject) == 0
	}
	var lo, hi uint64 // bit i: tokens 0 to i have taken all bytes so far
	start := uint64(1)
	for _, c := range subject {
		take := &p.accept[p.class[c]]
		hi = (hi<<1|lo>>63)&take.hi | hi&p.stay.hi
		lo = (lo<<1|start)&take.lo | lo&p.stay.lo
		if (lo&p.sure.lo)|(hi&p.sure.hi) != 0 {
			return true
		}
		if lo|hi|p.again == 0 {
			return false
		}
		start = p.again
	}
	return (lo&p.last.lo)|(hi&p.last.hi) != 0
}

// lower folds an ASCII letter.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
