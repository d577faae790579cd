package scenario

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// maxExtra bounds a file that a scenario names: a body, a schema, a certificate.
	maxExtra = 4 << 20
	// maxIncludes bounds how deep files include files.
	maxIncludes = 8
)

// Load reads a scenario file and all that it names. What is wrong with the content comes as a *FileError with every
// fault; a file that cannot be read comes as the error of the operating system.
func Load(file string) (*Scenario, error) {
	dir, name := filepath.Split(file)
	l := &loader{files: map[string][]byte{}, dir: dir}
	l.read = func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, filepath.FromSlash(name))
		}
		return readBounded(name)
	}
	if _, err := l.file(name); err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return l.load(name)
}

// LoadFiles makes the scenario anew out of the Files of one that was loaded.
func LoadFiles(name string, files map[string][]byte) (*Scenario, error) {
	l := &loader{files: map[string][]byte{}}
	l.read = func(name string) ([]byte, error) {
		content, ok := files[name]
		if !ok {
			return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
		}
		return content, nil
	}
	if _, err := l.file(name); err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return l.load(name)
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name) //nolint:gosec // the user names the file to read
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, maxExtra+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(content) > maxExtra {
		return nil, fmt.Errorf("%s has more than %d bytes", name, maxExtra)
	}
	return content, nil
}

// loader reads files once and remembers them.
type loader struct {
	read  func(name string) ([]byte, error)
	files map[string][]byte
	dir   string // for messages
}

func (l *loader) file(name string) ([]byte, error) {
	name = path.Clean(filepath.ToSlash(name))
	if content, ok := l.files[name]; ok {
		return content, nil
	}
	content, err := l.read(name)
	if err == nil {
		l.files[name] = content
	}
	return content, err
}

func (l *loader) load(name string) (*Scenario, error) {
	s := &Scenario{File: l.dir + name, timeout: defaultTimeout}
	faults := l.parse(name, func(d *decoder, tree *node) { d.scenario(s, tree) })
	if len(faults) > 0 {
		return nil, &FileError{sorted(faults)}
	}
	if s.Name == "" {
		s.Name = strings.TrimSuffix(path.Base(name), path.Ext(name))
	}
	s.Files = l.files
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(l.files)) {
		_, _ = fmt.Fprintf(sum, "%q %d\n", name, len(l.files[name]))
		_, _ = sum.Write(l.files[name])
	}
	s.Digest = hex.EncodeToString(sum.Sum(nil))
	return s, nil
}

// parse reads one scenario file and hands it to decode when its form is right.
func (l *loader) parse(name string, decode func(*decoder, *node), outer ...string) []Fault {
	content, err := l.file(name)
	if err != nil {
		return []Fault{{l.dir + name, 1, 1, "cannot be read: " + cause(err)}}
	}
	shown := l.dir + name
	tree, faults := parseYAML(shown, content)
	if tree == nil {
		return faults
	}
	if tree.kind != kindMapping {
		return append(faults, Fault{shown, tree.at.line, tree.at.column, "a scenario is a mapping, not " + string(tree.kind)})
	}
	faults = append(faults, checkFormat(shown, tree)...)
	d := &decoder{loader: l, file: shown, name: name, outer: append(slices.Clone(outer), name)}
	d.blamed = len(faults) > 0
	decode(d, tree)
	return append(faults, d.faults...)
}

// cause is the operating system's own words, without the path that the message holds already.
func cause(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// decoder reads one file into a program. The form of the file was checked before: what does not have it is passed over.
type decoder struct {
	loader *loader
	file   string   // as people know it
	name   string   // as the loader knows it
	outer  []string // the files that include one another, this one last
	faults []Fault
	blamed bool // the form has faults: names may be missing for that
	// described is what the file's descriptors say; nil: gRPC servers are asked by reflection.
	described *descriptors
}

func (d *decoder) fault(at position, format string, args ...any) {
	d.faults = append(d.faults, Fault{d.file, at.line, at.column, fmt.Sprintf(format, args...)})
}

// text is a scalar, or "".
func text(n *node) string {
	if n == nil || n.kind == kindList || n.kind == kindMapping {
		return ""
	}
	return n.text
}

// beside reads a file that the scenario names.
func (d *decoder) beside(n *node) (content []byte, name string) {
	if n == nil || n.kind != kindText || n.text == "" {
		return nil, ""
	}
	if strings.Contains(n.text, exprOpen) {
		d.fault(n.at, "the name of a file cannot hold %s: the file is read when the scenario is loaded", exprOpen)
		return nil, ""
	}
	name = filepath.ToSlash(n.text)
	if !path.IsAbs(name) {
		name = path.Join(path.Dir(d.name), name)
	}
	content, err := d.loader.file(name)
	if err != nil {
		d.fault(n.at, "the file %s cannot be read: %s", n.text, cause(err))
		return nil, ""
	}
	return content, name
}

// duration reads one; the schema has checked its form.
func (d *decoder) duration(n *node, otherwise time.Duration) time.Duration {
	if n == nil {
		return otherwise
	}
	v, err := time.ParseDuration(n.text)
	if err != nil {
		if !d.blamed {
			d.fault(n.at, "%q is not a duration", n.text)
		}
		return otherwise
	}
	if v > 24*time.Hour {
		d.fault(n.at, "%s is longer than a day", n.text)
	}
	return v
}

func (d *decoder) number(n *node, otherwise int) int {
	if n == nil {
		return otherwise
	}
	if i, ok := n.value.(int); ok {
		return i
	}
	return otherwise
}

func (d *decoder) scenario(s *Scenario, tree *node) {
	s.Name = text(tree.child("name"))
	for _, t := range children(tree.child("tags")) {
		s.Tags = append(s.Tags, t.text)
	}
	s.timeout = d.duration(tree.child("timeout"), defaultTimeout)
	if s.timeout == 0 {
		d.fault(tree.child("timeout").at, "timeout is 0s; nothing could run in it")
	}
	if c := tree.child("cookies"); c != nil {
		s.noJar = c.value == false
	}
	names := d.names(&s.program, tree)
	for _, e := range entries(tree.child("headers")) {
		s.headers = append(s.headers, field{e.key, d.template(e.value, names)})
	}
	d.tls(&s.tls, tree.child("tls"))
	d.compare(s, tree.child("compare"))
	first := d.expect(s, tree.child("expect_release"), names)
	d.steps(&s.program, tree, names)
	d.comparable(s)
	if first != nil {
		s.steps = append([]*step{first}, s.steps...)
	}
	if n := tree.child("steps"); len(d.faults) == 0 && len(s.steps) > 0 && onlyWaits(s.steps) {
		d.fault(n.at, "no step asks anything: a scenario that only waits would always pass")
	}
}

// onlyWaits reports whether steps, and those in them, look at nothing.
func onlyWaits(steps []*step) bool {
	for _, st := range steps {
		inner := st.children
		if st.use != nil {
			inner = st.use.steps
		}
		if st.kind != stepWait && (len(inner) == 0 || !onlyWaits(inner)) {
			return false
		}
	}
	return true
}

// names reads what the expressions of a file may use.
func (d *decoder) names(p *program, tree *node) env {
	p.file = d.file
	d.described = d.descriptors(tree.child("descriptors"))
	names := env{steps: map[string][]string{}}
	for _, item := range children(tree.child("secrets")) {
		p.secrets = append(p.secrets, secret{name: item.text, env: item.text, at: item.at})
	}
	for _, e := range entries(tree.child("secrets")) {
		p.secrets = append(p.secrets, secret{name: e.key, env: text(e.value.child("env")), file: text(e.value.child("file")), at: e.at})
	}
	for _, s := range p.secrets {
		names.secrets = append(names.secrets, s.name)
	}
	for _, e := range entries(tree.child("vars")) {
		p.vars = append(p.vars, variable{e.key, e.value.plain(), e.value.kind == kindNull})
		names.vars = append(names.vars, e.key)
	}
	return names
}

// steps reads the three lists of a file.
func (d *decoder) steps(p *program, tree *node, names env) {
	p.setup = d.list(tree.child("setup"), &names, "setup")
	p.steps = d.list(tree.child("steps"), &names, "steps")
	p.cleanup = d.list(tree.child("cleanup"), &names, "cleanup")
}

func (d *decoder) tls(to *tlsOptions, n *node) {
	if n == nil {
		return
	}
	to.ca, _ = d.beside(n.child("ca"))
	to.cert, _ = d.beside(n.child("cert"))
	to.keyFile, to.name = text(n.child("key")), text(n.child("server_name"))
	if insecure := n.child("insecure"); insecure != nil {
		to.insecure = insecure.value == true
	}
	if (n.child("cert") == nil) != (n.child("key") == nil) {
		d.fault(n.at, "a client's certificate needs both cert and key")
	}
}

// expect reads expect_release; a request in it becomes the first step.
func (d *decoder) expect(s *Scenario, n *node, names env) *step {
	if n == nil {
		return nil
	}
	is := text(n.child("is"))
	if is == "" {
		is = "version"
	}
	header, value := n.child("header"), n.child("field")
	asked := map[stepKind]*node{}
	for _, kind := range []stepKind{stepRequest, stepGRPC} {
		if target := n.child(string(kind)); target != nil {
			asked[kind] = target
		}
	}
	switch {
	case header != nil && (len(asked) > 0 || value != nil) || len(asked) > 1:
		d.fault(n.at, "expect_release has a header, or one of request and grpc with a field, not more")
	case header != nil:
		s.expect = &expectation{header: text(header), is: is}
	case len(asked) == 0 || value == nil:
		if !d.blamed {
			d.fault(n.at, "expect_release needs a header, or a request or grpc with a field")
		}
	default:
		return d.proof(n, asked, is, names)
	}
	return nil
}

// proof is the step that expect_release makes of what it asks.
func (d *decoder) proof(n *node, asked map[stepKind]*node, is string, names env) *step {
	st := &step{
		name: expectName, kind: stepRequest, file: d.file, at: n.at, repeat: 1, timeout: defaultStepTimeout, effect: EffectRead, proof: true,
	}
	value := n.child("field")
	names = names.at(afterHTTP)
	if target := asked[stepGRPC]; target != nil {
		st.kind, names = stepGRPC, names.at(afterCall)
		st.rpc, st.request = d.call(target, &node{kind: kindMapping}, names)
	} else if st.request = d.request(asked[stepRequest], n, names); st.request != nil && !st.request.reads() {
		d.fault(asked[stepRequest].at, "the release is asked for by GET, HEAD or OPTIONS")
	}
	comparison := *value
	comparison.text = "(" + value.text + ") == release." + is
	comparison.inside = max(0, value.inside-1)
	if d.expression(value.text, value.at, names, anyResult) != nil {
		st.asserts = d.asserts([]*node{&comparison}, names)
	}
	st.asserts = d.implicit(st, st.asserts, names)
	return st
}

func children(n *node) []*node {
	if n == nil {
		return nil
	}
	return n.items
}

func entries(n *node) []entry {
	if n == nil {
		return nil
	}
	return n.entries
}
