package config

import (
	"errors"
	"fmt"
	"strings"
)

// SplitCommand splits a line into words as a POSIX shell does: blanks separate, quotes and backslashes protect. It
// expands nothing. What a shell would act on (variables, pipes, redirections) is refused rather than passed on as text,
// because whoever writes it expects a shell.
func SplitCommand(line string) ([]string, error) {
	s := splitter{rest: line}
	for s.rest != "" {
		if err := s.next(); err != nil {
			return nil, err
		}
	}
	s.end()
	if len(s.words) == 0 {
		return nil, errors.New("is empty; it names the program to run")
	}
	return s.words, nil
}

type splitter struct {
	rest   string
	words  []string
	word   strings.Builder
	inWord bool // also of an empty quoted word
}

func (s *splitter) end() {
	if s.inWord {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.inWord = false
}

func (s *splitter) next() error {
	c := s.rest[0]
	s.rest = s.rest[1:]
	switch c {
	case ' ', '\t', '\n', '\r':
		s.end()
		return nil
	case '\'':
		return s.single()
	case '"':
		return s.double()
	case '\\':
		return s.escape()
	case '|', '&', ';', '<', '>', '(', ')', '$', '`':
		return needsShell(c)
	}
	s.inWord = true
	s.word.WriteByte(c)
	return nil
}

func (s *splitter) single() error {
	text, rest, ok := strings.Cut(s.rest, "'")
	if !ok {
		return errors.New("a ' is not closed")
	}
	s.inWord = true
	s.word.WriteString(text)
	s.rest = rest
	return nil
}

func (s *splitter) escape() error {
	if s.rest == "" {
		return errors.New("ends with a backslash")
	}
	if s.rest[0] != '\n' { // a backslash at the end of a line joins it with the next
		s.inWord = true
		s.word.WriteByte(s.rest[0])
	}
	s.rest = s.rest[1:]
	return nil
}

func (s *splitter) double() error {
	s.inWord = true
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; c {
		case '"':
			s.rest = s.rest[i+1:]
			return nil
		case '$', '`':
			return needsShell(c)
		case '\\':
			i++
			if i < len(s.rest) && !strings.ContainsRune("$`\"\\\n", rune(s.rest[i])) {
				s.word.WriteByte('\\')
			}
			if i < len(s.rest) && s.rest[i] != '\n' {
				s.word.WriteByte(s.rest[i])
			}
		default:
			s.word.WriteByte(c)
		}
	}
	return errors.New("a \" is not closed")
}

func needsShell(c byte) error {
	return fmt.Errorf("%q means something to a shell, but none runs here; write it in single quotes, "+
		"or run a shell yourself: [sh, -c, \"...\"]", c)
}
