package iam

import "strings"

// glob is a compiled pattern: * is any number of characters, ? is one.
type glob []token

type token struct {
	kind tokenKind
	r    rune
	// bound tokens do not match a colon.
	bound bool
}

type tokenKind byte

const (
	tokenRune tokenKind = iota
	tokenOne
	tokenStar
)

// arnFields is the number of fields of an ARN: arn, partition, service, region, account, resource (reference-arns).
const arnFields = 6

func compileText(text string) glob { return compile(template{{text: text}}) }

func compile(pieces template) glob {
	var g glob
	for _, p := range pieces {
		for _, r := range p.text {
			switch {
			case p.fixed || r != '*' && r != '?':
				g = append(g, token{kind: tokenRune, r: r})
			case r == '?':
				g = append(g, token{kind: tokenOne})
			case len(g) == 0 || g[len(g)-1].kind != tokenStar:
				g = append(g, token{kind: tokenStar})
			}
		}
	}
	return g
}

// compileResource compiles a pattern of Resource. Wildcards stand for characters within one field of the ARN, but
// a * that ends its field may run on over the colons that follow (reference_policies_elements_resource). The sixth
// field holds the colons that remain.
func compileResource(pieces template) glob {
	g := compile(pieces)
	field := 1
	for i := range g {
		if field == arnFields {
			break
		}
		switch g[i].kind {
		case tokenRune:
			if g[i].r == ':' {
				field++
			}
		case tokenOne:
			g[i].bound = true
		case tokenStar:
			g[i].bound = i+1 < len(g) && !g[i+1].colon()
		}
	}
	return g
}

func (t token) colon() bool { return t.kind == tokenRune && t.r == ':' }

// one tells whether a token that is no star matches r.
func (t token) one(r rune) bool {
	switch t.kind {
	case tokenRune:
		return t.r == r
	case tokenOne:
		return !t.bound || r != ':'
	case tokenStar:
		return false
	}
	return false
}

// match tells whether g matches all of value. It goes back to the last star only, which finds every match when stars
// are alike; a bound star among free ones needs matchBound.
func (g glob) match(value []rune) bool {
	for _, t := range g {
		if t.kind == tokenStar && t.bound {
			return g.matchBound(value)
		}
	}
	star, mark, at := -1, 0, 0
	for i := 0; i < len(value); {
		switch {
		case at < len(g) && g[at].kind == tokenStar:
			star, mark = at, i
			at++
		case at < len(g) && g[at].one(value[i]):
			at++
			i++
		case star >= 0:
			mark++
			i, at = mark, star+1
		default:
			return false
		}
	}
	return at == len(g) || at == len(g)-1 && g[at].kind == tokenStar
}

// matchBound follows all ways to match at once: reached[i] says that the first i tokens match what was read.
func (g glob) matchBound(value []rune) bool {
	reached, next := make([]bool, len(g)+1), make([]bool, len(g)+1)
	reached[0] = true
	g.skipStars(reached)
	for _, r := range value {
		clear(next)
		for i, t := range g {
			if !reached[i] {
				continue
			}
			if t.kind == tokenStar {
				next[i] = next[i] || !t.bound || r != ':'
				continue
			}
			next[i+1] = next[i+1] || t.one(r)
		}
		g.skipStars(next)
		reached, next = next, reached
	}
	return reached[len(g)]
}

// skipStars lets each star that was reached match nothing.
func (g glob) skipStars(reached []bool) {
	for i, t := range g {
		if reached[i] && t.kind == tokenStar {
			reached[i+1] = true
		}
	}
}

// fields splits at colons into the six fields of an ARN; the last keeps its colons.
func (g glob) fields() []glob {
	fields := make([]glob, 0, arnFields)
	start := 0
	for i, t := range g {
		if t.colon() && len(fields) < arnFields-1 {
			fields = append(fields, g[start:i])
			start = i + 1
		}
	}
	return append(fields, g[start:])
}

// matchARN matches as ArnLike does: the six fields of an ARN are compared one by one
// (reference_policies_elements_condition_operators).
func (g glob) matchARN(value string) bool {
	patterns, fields := g.fields(), arnSplit(value)
	if len(patterns) != arnFields || len(fields) != arnFields {
		return false
	}
	for i, p := range patterns {
		if !p.match([]rune(fields[i])) {
			return false
		}
	}
	return true
}

func arnSplit(arn string) []string { return strings.SplitN(arn, ":", arnFields) }
