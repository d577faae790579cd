package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Service describes one service as its owner wants it; greengate.yaml is its written form.
type Service struct {
	Name string `json:"name"`
	// Version is the label of this revision; empty takes a prefix of its digest.
	Version  string   `json:"version,omitempty"`
	Workload Workload `json:"workload"`
	Tasks    int      `json:"tasks"`
	// Production and Test are the addresses of the listeners, host:port. Test may be empty.
	Production string           `json:"production"`
	Test       string           `json:"test,omitempty"`
	Traffic    Traffic          `json:"traffic"`
	Hooks      map[Phase][]Hook `json:"hooks,omitempty"`
	Smoke      []Hook           `json:"smoke,omitempty"`
	Promotion  Promotion        `json:"promote"`
	ReadyLimit time.Duration    `json:"readyLimit,omitempty"`
	WayBack    WayBackPolicy    `json:"wayBack"`
	Bake       time.Duration    `json:"bake,omitempty"`
	// MaxErrorRate is the share of failed requests (0 to 1) above which green is taken back.
	MaxErrorRate   float64        `json:"maxErrorRate,omitempty"`
	Rollback       RollbackPolicy `json:"rollback"`
	Drain          time.Duration  `json:"drain,omitempty"`
	UnhealthyGrace time.Duration  `json:"unhealthyGrace,omitempty"`
	InstallLimit   time.Duration  `json:"installLimit,omitempty"`
}

// DefaultService holds the value of every field that greengate.yaml may leave out.
func DefaultService() Service {
	return Service{
		Tasks: 1, Traffic: Traffic{Kind: TrafficAllAtOnce}, Promotion: PromoteVerified,
		ReadyLimit: time.Hour, WayBack: WayBackWarn, Rollback: RollbackPolicy{OnFailure: true, OnAlarm: true, OnStop: true},
		Drain: 30 * time.Second, UnhealthyGrace: 10 * time.Second, InstallLimit: 10 * time.Minute,
		Workload: Workload{Grace: 10 * time.Second, Network: "host"},
	}
}

// Revision is the part of a service that its tasks run. Its digest covers the workload alone, so
// that a changed hook or policy is no new revision.
func (s Service) Revision() Revision {
	content, err := json.Marshal(struct {
		Version  string   `json:"version"`
		Workload Workload `json:"workload"`
	}{s.Version, s.Workload})
	if err != nil { // strings, numbers and maps of strings always marshal
		panic(fmt.Sprintf("marshal revision of %s: %v", s.Name, err))
	}
	sum := sha256.Sum256(content)
	rev := Revision{Version: s.Version, Digest: hex.EncodeToString(sum[:]), Workload: s.Workload}
	if rev.Version == "" {
		rev.Version = rev.Digest[:12]
	}
	return rev
}

// Plan freezes what decides how a deployment of the service runs.
func (s Service) Plan() Plan {
	limits := DefaultLimits()
	if s.InstallLimit > 0 {
		limits.Install = s.InstallLimit
	}
	return Plan{
		Service: s.Name, Application: s.Name, Group: s.Name, TestListener: s.Test != "", Traffic: s.Traffic,
		Hooks: s.Hooks, Smoke: s.Smoke, Promotion: s.Promotion, ReadyLimit: s.ReadyLimit, WayBack: s.WayBack,
		Bake: s.Bake, Rollback: s.Rollback, Drain: s.Drain, MaxErrorRate: s.MaxErrorRate,
		UnhealthyGrace: s.UnhealthyGrace, Limits: limits,
	}
}

// Fault is one thing that is wrong with an input: which field, and what to do about it.
type Fault struct {
	Field   string `json:"field"` // path as in greengate.yaml, "hooks.AfterInstall[0].command"
	Message string `json:"message"`
}

// String puts field and message on one line.
func (f Fault) String() string { return f.Field + ": " + f.Message }

// Validate returns every fault of the service; none means that it can be deployed.
func (s Service) Validate() []Fault {
	v := &validator{}
	v.name("name", s.Name)
	v.workload("", s.Workload)
	v.positive("tasks", s.Tasks, 1, 1000)
	v.address("listeners.production", s.Production, true)
	v.address("listeners.test", s.Test, false)
	if s.Test != "" && s.Test == s.Production {
		v.add("listeners.test", "is the same address as listeners.production; give the test listener its own port")
	}
	v.traffic(s.Traffic)
	v.policies(s)
	for _, p := range slices.Sorted(maps.Keys(s.Hooks)) {
		v.hooks(p, s)
	}
	for i, h := range s.Smoke {
		v.hook(fmt.Sprintf("smoke[%d]", i), h)
		switch h.Kind {
		case HookFunction:
			v.add(fmt.Sprintf("smoke[%d].function", i), "a function reports on a lifecycle event; a smoke check is a scenario, a command or a task")
		case HookShadow:
			v.add(fmt.Sprintf("smoke[%d].shadow", i), "needs both versions; use it in a hook before the switch")
		case HookCommand, HookTask, HookScenario:
		}
	}
	return v.faults
}

type validator struct{ faults []Fault }

func (v *validator) add(field, format string, args ...any) {
	v.faults = append(v.faults, Fault{Field: field, Message: fmt.Sprintf(format, args...)})
}

func (v *validator) name(field, s string) {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	switch {
	case s == "":
		v.add(field, "is missing; give the service a name, for example \"checkout\"")
	case len(s) > 63 || strings.Trim(s, allowed) != "":
		v.add(field, "%q is not a name: use 1 to 63 letters, digits, '-' and '_'", s)
	}
}

func (v *validator) positive(field string, n, least, most int) {
	if n < least || n > most {
		v.add(field, "is %d; it must be between %d and %d", n, least, most)
	}
}

// between is false also for what is not a number, which YAML can write and JSON cannot store.
func between(x, least, most float64) bool { return x >= least && x <= most }

func (v *validator) duration(field string, d, most time.Duration) {
	if d < 0 || d > most {
		v.add(field, "is %s; it must be between 0s and %s", d, most)
	}
}

func (v *validator) address(field, addr string, required bool) {
	if addr == "" {
		if required {
			v.add(field, "is missing; give an address, for example \"127.0.0.1:8080\"")
		}
		return
	}
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		v.add(field, "%q is not an address: write IP:PORT, for example \"127.0.0.1:8080\"", addr)
		return
	}
	if ap.Port() == 0 {
		v.add(field, "%q has port 0; choose a port so that clients can find it", addr)
	}
}

func (v *validator) workload(prefix string, w Workload) {
	if len(w.Command) == 0 && w.Image == "" {
		v.add(prefix+"command", "is missing; say what each task runs, for example [\"./server\"]")
	}
	if len(w.Command) > 0 && w.Command[0] == "" {
		v.add(prefix+"command[0]", "is empty; it names the program")
	}
	if w.Image != "" {
		v.add(prefix+"image", "needs a container runtime, which this version does not have; use command")
	}
	v.positive(prefix+"port", w.Port, 0, 65535)
	if w.Network != "" && w.Network != "host" && w.Network != "namespace" {
		v.add(prefix+"network", "%q is unknown; it is \"host\" or \"namespace\"", w.Network)
	}
	if !between(w.CPU, 0, 4096) || w.MemoryBytes < 0 || w.PIDs < 0 {
		v.add(prefix+"limits", "must not be negative, and cpu at most 4096 cores")
	}
	v.duration(prefix+"grace", w.Grace, time.Hour)
	if h := w.Health; h != nil {
		v.health(prefix+"health", *h)
	}
}

func (v *validator) health(field string, h HealthCheck) {
	if h.Type == "http" && !strings.HasPrefix(h.Path, "/") {
		v.add(field+".path", "%q must begin with /", h.Path)
	}
	if h.Type != "http" && h.Type != "tcp" {
		v.add(field+".type", "%q is unknown; it is \"http\" or \"tcp\"", h.Type)
	}
	v.duration(field+".interval", h.Interval, 10*time.Minute)
	v.duration(field+".timeout", h.Timeout, 10*time.Minute)
	v.positive(field+".healthy_threshold", h.HealthyThreshold, 0, 100)
	v.positive(field+".unhealthy_threshold", h.UnhealthyThreshold, 0, 100)
}

// traffic keeps the limits of the CodeDeploy user guide: 1 to 99 per cent a step, and at most 2880
// minutes between first and last shift.
func (v *validator) traffic(t Traffic) {
	switch t.Kind {
	case TrafficAllAtOnce:
		return
	case TrafficCanary, TrafficLinear:
		v.positive("traffic.percent", t.Percent, 1, 99)
		if t.Interval <= 0 {
			v.add("traffic.interval", "is missing; say how long to wait between steps, for example 5m")
		}
		if t.Percent >= 1 && t.Span() > 2880*time.Minute {
			v.add("traffic.interval", "makes the shift last %s; the limit is 48h", t.Span())
		}
	default:
		v.add("traffic", "%q is unknown; it is all-at-once, canary or linear", t.Kind)
	}
}

func (v *validator) policies(s Service) {
	switch s.Promotion {
	case PromoteVerified:
		if len(s.Smoke) == 0 && !anyHook(s.Hooks) {
			v.add("promote", "is \"verified\", which needs at least one hook or a smoke set to verify with; add one, or choose \"manual\" or \"auto\"")
		}
	case PromoteManual, PromoteAuto:
	default:
		v.add("promote", "%q is unknown; it is \"verified\", \"manual\" or \"auto\"", s.Promotion)
	}
	if s.WayBack != WayBackWarn && s.WayBack != WayBackRequire {
		v.add("way_back", "%q is unknown; it is \"warn\" or \"require\"", s.WayBack)
	}
	v.duration("ready_limit", s.ReadyLimit, 120*time.Hour)
	v.duration("bake", s.Bake, 48*time.Hour)
	v.duration("drain", s.Drain, 24*time.Hour)
	v.duration("unhealthy_grace", s.UnhealthyGrace, time.Hour)
	v.duration("install_limit", s.InstallLimit, 24*time.Hour)
	if !between(s.MaxErrorRate, 0, 1) {
		v.add("max_error_rate", "is %v; it is a share between 0 and 1", s.MaxErrorRate)
	}
}

func anyHook(hooks map[Phase][]Hook) bool {
	for _, list := range hooks {
		if len(list) > 0 {
			return true
		}
	}
	return false
}

func (v *validator) hooks(p Phase, s Service) {
	field := "hooks." + string(p)
	if !p.Hookable() {
		v.add(field, "is not an event that takes hooks; those are BeforeInstall, AfterInstall, AfterAllowTestTraffic, BeforeAllowTraffic, AfterAllowTraffic")
		return
	}
	if p == PhaseAfterAllowTestTraffic && s.Test == "" {
		v.add(field, "needs listeners.test: without a test listener this event does not happen")
	}
	for i, h := range s.Hooks[p] {
		at := fmt.Sprintf("%s[%d]", field, i)
		v.hook(at, h)
		if h.Kind == HookShadow && (p == PhaseBeforeInstall || p == PhaseAfterAllowTraffic) {
			v.add(at+".shadow", "needs both versions, the old one with production traffic: use it in AfterInstall, AfterAllowTestTraffic or BeforeAllowTraffic")
		}
		switch {
		case h.Kind != HookScenario:
		case p == PhaseBeforeInstall:
			v.add(at+".scenario", "cannot run in BeforeInstall: the new version does not run yet; move it to AfterInstall")
		case s.Test == "" && p != PhaseAfterAllowTraffic:
			v.add(at+".scenario", "needs listeners.test: before the switch the new version is reached there alone")
		}
	}
}

// ValidateHook returns all that is wrong with a hook by itself, whichever event it is for; fields begin with field.
func ValidateHook(field string, h Hook) []Fault {
	v := &validator{}
	v.hook(field, h)
	return v.faults
}

func (v *validator) hook(field string, h Hook) {
	switch h.Kind {
	case HookCommand, HookTask:
		if len(h.Command) == 0 {
			v.add(field+"."+string(h.Kind), "is empty; it names the program to run")
		}
	case HookFunction:
		v.function(field+".function", h.Function)
	case HookScenario:
		v.scenario(field, h.Scenario)
	case HookShadow:
		v.shadow(field, h)
	default:
		v.add(field, "has no kind; give it a scenario, a function, a command, a task or a shadow")
	}
	v.duration(field+".timeout", h.Timeout, time.Hour)
	v.positive(field+".retries", h.Retries, 0, 20)
}

func (v *validator) scenario(field string, s *Scenario) {
	if s == nil || s.File == "" {
		v.add(field+".scenario", "is empty; it names the scenario file")
		return
	}
	if !slices.Contains([]string{"", "read", "write-and-clean", "write"}, s.Allow) {
		v.add(field+".allow", "%q is unknown; it is read, write-and-clean or write", s.Allow)
	}
}

func (v *validator) function(field string, f *Function) {
	if f == nil {
		v.add(field, "is missing")
		return
	}
	if f.CodeDir == "" {
		v.add(field+".code", "is missing; name the folder that holds the handler")
	}
	provided := strings.HasPrefix(f.Runtime, "provided")
	if !provided && !strings.HasPrefix(f.Runtime, "python3") && !strings.HasPrefix(f.Runtime, "nodejs") {
		v.add(field+".runtime", "%q is unknown; it is python3, nodejs or provided", f.Runtime)
	}
	if !provided && !strings.Contains(f.Handler, ".") {
		v.add(field+".handler", "%q is not file.function", f.Handler)
	}
	v.duration(field+".timeout", f.Timeout, 15*time.Minute)
	v.positive(field+".memory", f.MemoryMB, 0, 10240)
}
