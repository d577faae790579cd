package scenario

import (
	"net/http"
	"time"
)

// Effect is what a step does to the service that it checks.
type Effect string

// The effect classes, in the order of what they may break.
const (
	// EffectRead changes nothing.
	EffectRead Effect = "read"
	// EffectWriteAndClean changes something and takes it back.
	EffectWriteAndClean Effect = "write-and-clean"
	// EffectWrite changes something for good.
	EffectWrite Effect = "write"
)

// Effects are all classes, from the weakest.
func Effects() []Effect { return []Effect{EffectRead, EffectWriteAndClean, EffectWrite} }

// Allows reports whether a place that allows up to e allows a step of class of. Empty allows all.
func (e Effect) Allows(of Effect) bool {
	rank := map[Effect]int{EffectRead: 1, EffectWriteAndClean: 2, EffectWrite: 3, "": 3}
	return rank[of] <= rank[e]
}

const (
	defaultTimeout     = 5 * time.Minute  // of setup and steps
	defaultStepTimeout = 30 * time.Second // of an attempt
	cleanupTimeout     = 30 * time.Second
	retryTimeout       = 30 * time.Second
	retryInterval      = 500 * time.Millisecond
	// The name of the captured values' step that expect_release makes.
	expectName = "the release under test answers"
)

// Scenario is one file that was loaded: it can be run any number of times, also at once.
type Scenario struct {
	// Name is what it proves, File the path from which it was loaded.
	Name, File string
	Tags       []string
	// Digest is the lower-case hex SHA-256 over the names and contents of Files.
	Digest string
	// Files are all files that it is made of, by their path beside the main one: the file itself, what it includes, schemas,
	// bodies, certificates. With them it can be loaded elsewhere.
	Files map[string][]byte

	timeout time.Duration
	program
	expect  *expectation
	compare *comparison
	tls     tlsOptions
	noJar   bool
	headers []field
}

// program is what one file does, and the names that it knows.
type program struct {
	file                  string
	secrets               []secret
	vars                  []variable
	setup, steps, cleanup []*step
}

type secret struct {
	name, env, file string
	at              position
}

type variable struct {
	name     string
	value    any
	required bool
}

type expectation struct {
	header, is string
}

type tlsOptions struct {
	ca, cert []byte
	keyFile  string
	name     string
	insecure bool
}

type field struct {
	name  string
	value *template
}

// stepKind is what a step does.
type stepKind string

const (
	stepRequest   stepKind = "request"
	stepRun       stepKind = "run"
	stepWait      stepKind = "wait"
	stepUse       stepKind = "use"
	stepWebSocket stepKind = "websocket"
	stepGRPC      stepKind = "grpc"
	stepParallel  stepKind = "parallel"
	stepForeach   stepKind = "foreach"
)

func stepKinds() []stepKind {
	return []stepKind{stepRequest, stepRun, stepWait, stepUse, stepWebSocket, stepGRPC, stepParallel, stepForeach}
}

type step struct {
	name   string
	kind   stepKind
	file   string
	at     position
	effect Effect
	when   *expression

	request   *request
	run       *command
	wait      time.Duration
	use       *inclusion
	websocket *conversation
	rpc       *rpc
	children  []*step // of parallel and foreach
	over      *template

	captures []capture
	asserts  []*assertion
	schema   *answerSchema
	retry    *retry
	repeat   int
	timeout  time.Duration
	// proof marks the step of expect_release: its answer is of one release, and compared with that of no other.
	proof bool
}

type request struct {
	method  string
	target  *template
	query   []field // a name may stand several times
	headers []field
	// One of these is the body.
	json      *template
	form      []field
	multipart []part
	text      *template
	file      []byte
	bodyName  string
	mime      string // of the file

	auth      *auth
	redirects int
}

func (r *request) reads() bool {
	return r.method == http.MethodGet || r.method == http.MethodHead || r.method == http.MethodOptions
}

type part struct {
	name           string
	value          *template // or
	content        []byte
	filename, mime string
}

type auth struct {
	bearer                                              *template
	user, password                                      *template
	region, service, accessKey, secretKey, sessionToken *template
}

type command struct {
	words []*template
	env   []field
	dir   string
	junit string
}

type inclusion struct {
	program
	given []field // values of vars
}

type conversation struct {
	url       *template
	protocols []string
	send      []*template
	receive   int
}

type capture struct {
	name   string
	value  *expression
	secret bool
}

type retry struct {
	timeout, interval time.Duration
	attempts          int
}

// TimeLimit is that of setup and steps together.
func (s *Scenario) TimeLimit() time.Duration { return s.timeout }

// Vars are the names of the values that the scenario takes.
func (s *Scenario) Vars() []string {
	names := make([]string, len(s.vars))
	for i, v := range s.vars {
		names[i] = v.name
	}
	return names
}
