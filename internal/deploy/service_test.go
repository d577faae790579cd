package deploy

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// goodService has no fault.
func goodService() Service {
	s := DefaultService()
	s.Name = "checkout"
	s.Production, s.Test = "127.0.0.1:8080", "127.0.0.1:8081"
	s.Workload.Command = []string{"./server"}
	s.Hooks = map[Phase][]Hook{PhaseAfterInstall: {{Name: "look", Kind: HookCommand, Command: []string{"./look"}}}}
	return s
}

func goodFunction() Hook {
	return Hook{Name: "check", Kind: HookFunction, Function: &Function{Name: "check", Runtime: "python3.12", Handler: "check.handler", CodeDir: "hooks"}}
}

func TestService_Validate_good(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Service){
		"as it is":         func(*Service) {},
		"no test listener": func(s *Service) { s.Test = "" },
		"canary":           func(s *Service) { s.Traffic = Traffic{Kind: TrafficCanary, Percent: 99, Interval: 48 * time.Hour} },
		"linear":           func(s *Service) { s.Traffic = Traffic{Kind: TrafficLinear, Percent: 1, Interval: time.Minute} },
		"function":         func(s *Service) { s.Hooks[PhaseAfterAllowTestTraffic] = []Hook{goodFunction()} },
		"executable": func(s *Service) {
			h := goodFunction()
			h.Function.Runtime, h.Function.Handler = "provided.al2023", ""
			s.Hooks[PhaseAfterAllowTestTraffic] = []Hook{h}
		},
		"scenario":                 scenarioHook(func(c *Scenario) { c.Allow = "read" }),
		"smoke verifies":           func(s *Service) { s.Smoke, s.Hooks = s.Hooks[PhaseAfterInstall], nil },
		"manual, nothing verifies": func(s *Service) { s.Hooks, s.Promotion = nil, PromoteManual },
		"health":                   func(s *Service) { s.Workload.Health = &HealthCheck{Type: "http", Path: "/healthz"} },
		"tcp health":               func(s *Service) { s.Workload.Health = &HealthCheck{Type: "tcp"} },
		"IPv6":                     func(s *Service) { s.Production = "[::1]:8080" },
		"a unique port":            func(s *Service) { s.Workload.Port = 0 },
		"whole error rate":         func(s *Service) { s.MaxErrorRate = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := goodService()
			change(&s)
			if faults := s.Validate(); len(faults) > 0 {
				t.Errorf("faults: %v", faults)
			}
		})
	}
}

// scenarioHook makes the first hook a scenario.
func scenarioHook(change func(*Scenario)) func(*Service) {
	return func(s *Service) {
		c := Scenario{File: "shop.yaml"}
		change(&c)
		s.Hooks[PhaseAfterInstall][0] = Hook{Name: "e2e", Kind: HookScenario, Scenario: &c}
	}
}

// TestService_Validate_faults: each fault alone, at its field, and nothing else.
func TestService_Validate_faults(t *testing.T) {
	t.Parallel()
	hook := func(s *Service) *Hook { return &s.Hooks[PhaseAfterInstall][0] }
	function := func(change func(*Function)) func(*Service) {
		return func(s *Service) {
			h := goodFunction()
			change(h.Function)
			s.Hooks[PhaseAfterInstall] = []Hook{h}
		}
	}
	health := func(h HealthCheck) func(*Service) {
		return func(s *Service) { s.Workload.Health = &h }
	}
	for _, tc := range []struct {
		field, message string
		change         func(*Service)
	}{
		{"name", "is missing", func(s *Service) { s.Name = "" }},
		{"name", "is not a name", func(s *Service) { s.Name = "check out" }},
		{"name", "is not a name", func(s *Service) { s.Name = strings.Repeat("x", 64) }},
		{"command", "is missing", func(s *Service) { s.Workload.Command = nil }},
		{"command[0]", "is empty", func(s *Service) { s.Workload.Command = []string{""} }},
		{"image", "container runtime", func(s *Service) { s.Workload.Image = "shop:1" }},
		{"port", "between 0 and 65535", func(s *Service) { s.Workload.Port = 65536 }},
		{"port", "between 0 and 65535", func(s *Service) { s.Workload.Port = -1 }},
		{"network", "is unknown", func(s *Service) { s.Workload.Network = "bridge" }},
		{"limits", "must not be negative", func(s *Service) { s.Workload.CPU = -1 }},
		{"limits", "must not be negative", func(s *Service) { s.Workload.CPU = math.NaN() }},
		{"limits", "at most 4096", func(s *Service) { s.Workload.CPU = math.Inf(1) }},
		{"limits", "must not be negative", func(s *Service) { s.Workload.MemoryBytes = -1 }},
		{"limits", "must not be negative", func(s *Service) { s.Workload.PIDs = -1 }},
		{"grace", "between 0s and 1h", func(s *Service) { s.Workload.Grace = -time.Second }},
		{"health.type", "is unknown", health(HealthCheck{Type: "grpc"})},
		{"health.path", "must begin with /", health(HealthCheck{Type: "http", Path: "healthz"})},
		{"health.interval", "between", health(HealthCheck{Type: "tcp", Interval: time.Hour})},
		{"health.timeout", "between", health(HealthCheck{Type: "tcp", Timeout: -1})},
		{"health.healthy_threshold", "between", health(HealthCheck{Type: "tcp", HealthyThreshold: -1})},
		{"health.unhealthy_threshold", "between", health(HealthCheck{Type: "tcp", UnhealthyThreshold: 101})},
		{"tasks", "between 1 and 1000", func(s *Service) { s.Tasks = 0 }},
		{"tasks", "between 1 and 1000", func(s *Service) { s.Tasks = 1001 }},
		{"listeners.production", "is missing", func(s *Service) { s.Production = "" }},
		{"listeners.production", "is not an address", func(s *Service) { s.Production = "8080" }},
		{"listeners.production", "is not an address", func(s *Service) { s.Production = "localhost:8080" }},
		{"listeners.production", "has port 0", func(s *Service) { s.Production = "127.0.0.1:0" }},
		{"listeners.test", "is not an address", func(s *Service) { s.Test = ":8081" }},
		{"listeners.test", "same address", func(s *Service) { s.Test = s.Production }},
		{"traffic", "is unknown", func(s *Service) { s.Traffic.Kind = "sideways" }},
		{"traffic.percent", "between 1 and 99", func(s *Service) { s.Traffic = Traffic{Kind: TrafficCanary, Percent: 100, Interval: time.Minute} }},
		{"traffic.percent", "between 1 and 99", func(s *Service) { s.Traffic = Traffic{Kind: TrafficLinear, Percent: 0, Interval: time.Minute} }},
		{"traffic.interval", "is missing", func(s *Service) { s.Traffic = Traffic{Kind: TrafficCanary, Percent: 10} }},
		{"traffic.interval", "the limit is 48h", func(s *Service) { s.Traffic = Traffic{Kind: TrafficLinear, Percent: 1, Interval: 30 * time.Minute} }},
		{"promote", "needs at least one hook", func(s *Service) { s.Hooks = nil }},
		{"promote", "needs at least one hook", func(s *Service) { s.Hooks = map[Phase][]Hook{PhaseAfterInstall: {}} }},
		{"promote", "is unknown", func(s *Service) { s.Promotion = "sometimes" }},
		{"way_back", "is unknown", func(s *Service) { s.WayBack = "" }},
		{"ready_limit", "between", func(s *Service) { s.ReadyLimit = 121 * time.Hour }},
		{"bake", "between", func(s *Service) { s.Bake = 49 * time.Hour }},
		{"drain", "between", func(s *Service) { s.Drain = -1 }},
		{"unhealthy_grace", "between", func(s *Service) { s.UnhealthyGrace = 2 * time.Hour }},
		{"install_limit", "between", func(s *Service) { s.InstallLimit = 25 * time.Hour }},
		{"max_error_rate", "share between 0 and 1", func(s *Service) { s.MaxErrorRate = 5 }},
		{"max_error_rate", "share between 0 and 1", func(s *Service) { s.MaxErrorRate = -0.1 }},
		{"max_error_rate", "share between 0 and 1", func(s *Service) { s.MaxErrorRate = math.NaN() }},
		{"hooks.Install", "is not an event that takes hooks", func(s *Service) { s.Hooks[PhaseInstall] = []Hook{*hook(s)} }},
		{"hooks.AfterAllowTestTraffic", "needs listeners.test", func(s *Service) {
			s.Test = ""
			s.Hooks[PhaseAfterAllowTestTraffic] = []Hook{*hook(s)}
		}},
		{"hooks.AfterInstall[0]", "has no kind", func(s *Service) { hook(s).Kind = "" }},
		{"hooks.AfterInstall[0].command", "is empty", func(s *Service) { hook(s).Command = nil }},
		{"hooks.AfterInstall[0].task", "is empty", func(s *Service) { hook(s).Kind, hook(s).Command = HookTask, nil }},
		{"hooks.AfterInstall[0].timeout", "between", func(s *Service) { hook(s).Timeout = 61 * time.Minute }},
		{"hooks.AfterInstall[0].retries", "between", func(s *Service) { hook(s).Retries = 21 }},
		{"hooks.AfterInstall[0].function", "is missing", func(s *Service) { hook(s).Kind = HookFunction }},
		{"hooks.AfterInstall[0].function.code", "is missing", function(func(f *Function) { f.CodeDir = "" })},
		{"hooks.AfterInstall[0].function.runtime", "is unknown", function(func(f *Function) { f.Runtime = "ruby3.3" })},
		{"hooks.AfterInstall[0].function.handler", "is not file.function", function(func(f *Function) { f.Handler = "handler" })},
		{"hooks.AfterInstall[0].function.timeout", "between", function(func(f *Function) { f.Timeout = 16 * time.Minute })},
		{"hooks.AfterInstall[0].function.memory", "between", function(func(f *Function) { f.MemoryMB = 10241 })},
		{"hooks.AfterInstall[0].scenario", "is empty", func(s *Service) { hook(s).Kind = HookScenario }},
		{"hooks.AfterInstall[0].allow", "is unknown", scenarioHook(func(c *Scenario) { c.Allow = "all" })},
		{"hooks.AfterInstall[0].scenario", "needs listeners.test", func(s *Service) {
			scenarioHook(func(*Scenario) {})(s)
			s.Test = ""
		}},
		{"hooks.BeforeInstall[0].scenario", "does not run yet", func(s *Service) {
			scenarioHook(func(*Scenario) {})(s)
			s.Hooks = map[Phase][]Hook{PhaseBeforeInstall: s.Hooks[PhaseAfterInstall]}
		}},
		{"smoke[0].command", "is empty", func(s *Service) { s.Smoke = []Hook{{Name: "home", Kind: HookCommand}} }},
		{"smoke[0].function", "reports on a lifecycle event", func(s *Service) { s.Smoke = []Hook{goodFunction()} }},
	} {
		t.Run(tc.field+" "+tc.message, func(t *testing.T) {
			t.Parallel()
			s := goodService()
			tc.change(&s)
			faults := s.Validate()
			if len(faults) != 1 || faults[0].Field != tc.field || !strings.Contains(faults[0].Message, tc.message) {
				t.Errorf("faults: %v", faults)
			}
			if len(faults) == 1 && !strings.HasPrefix(faults[0].String(), tc.field+": ") {
				t.Errorf("line: %s", faults[0])
			}
		})
	}
}

// TestService_Validate_allAtOnce: an empty service says everything that is wrong, in the same order each time.
func TestService_Validate_allAtOnce(t *testing.T) {
	t.Parallel()
	var fields []string
	for _, f := range (Service{Hooks: map[Phase][]Hook{PhaseInstall: {{}}, PhaseAllowTraffic: {{}}}}).Validate() {
		fields = append(fields, f.Field)
	}
	wantFields := []string{
		"name", "command", "tasks", "listeners.production", "traffic", "promote", "way_back", "hooks.AllowTraffic", "hooks.Install",
	}
	if !slices.Equal(fields, wantFields) {
		t.Errorf("fields = %v, want %v", fields, wantFields)
	}
}

func TestService_Revision(t *testing.T) {
	t.Parallel()
	s := goodService()
	rev := s.Revision()
	if len(rev.Digest) != 64 || rev.Version != rev.Digest[:12] {
		t.Errorf("revision %+v", rev)
	}
	s.Hooks, s.Bake = nil, time.Hour
	if got := s.Revision(); got.Digest != rev.Digest {
		t.Error("a policy made a new revision")
	}
	s.Workload.Env = map[string]string{"A": "b"}
	if got := s.Revision(); got.Digest == rev.Digest {
		t.Error("a changed environment made no new revision")
	}
	s.Version = "v7"
	if got := s.Revision(); got.Version != "v7" {
		t.Errorf("version = %s", got.Version)
	}
}

// TestService_Plan: a plan holds what the service says, and AWS's limits where it says nothing.
func TestService_Plan(t *testing.T) {
	t.Parallel()
	s := goodService()
	p := s.Plan()
	if p.Service != "checkout" || !p.TestListener || p.Limits.Install != 10*time.Minute || p.Limits.Hook != time.Hour {
		t.Errorf("plan %+v", p)
	}
	s.Test, s.InstallLimit = "", 0
	if p := s.Plan(); p.TestListener || p.Limits.Install != time.Hour {
		t.Errorf("plan %+v", p)
	}
}
