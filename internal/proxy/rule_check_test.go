package proxy

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestValidateRules(t *testing.T) {
	long := strings.Repeat("x", maxPattern+1)
	fixed := Action{Fixed: &Fixed{Status: 200}}
	one := []Condition{{PathPattern: []string{"/"}}}
	rule := func(name string, priority int, conditions []Condition, a Action) Rule {
		return Rule{Name: name, Priority: priority, Conditions: conditions, Action: a}
	}
	tab := table(1, to("blue"), groupOf("blue"))
	tab.Listeners[0].Address = "127.0.0.1:8080"
	tab.Listeners[0].Rules = []Rule{
		rule("", 0, one, fixed),
		rule("a", 7, nil, Action{Forward: []Weight{{"nobody", 101}}, Redirect: &Redirect{StatusCode: 301, Path: "/x"}}),
		rule("a", 7, []Condition{{}, {PathPattern: []string{"/"}, HostHeader: []string{"x"}}}, fixed),
		rule("b", MaxPriority+1, []Condition{
			{HostHeader: []string{"host:80", "", "sp ace.com"}},
			{PathPattern: []string{long, "/\x7f", "/ä"}},
			{RequestMethod: []string{"get", "", strings.Repeat("X", 41)}},
			{SourceIP: []string{"10.0.0.1", "10.0.0.0/33", "::ffff:10.0.0.0/104", "*"}},
		}, fixed),
		rule("c", 8, []Condition{
			{HTTPHeader: &HeaderCondition{Name: "HOST", Values: []string{"x"}}},
			{HTTPHeader: &HeaderCondition{Name: "X Y", Values: []string{"tab\tbed"}}},
			{HTTPHeader: &HeaderCondition{Name: strings.Repeat("H", 41)}},
			{QueryString: []QueryPattern{{Key: "key only"}, {Value: "\n"}}},
		}, fixed),
		rule("six", 9, []Condition{{HostHeader: []string{"*.?"}}, {PathPattern: []string{"/*?"}}, {QueryString: []QueryPattern{{Key: "*", Value: `\*?`}}}}, fixed),
		rule("loop", 10, one, Action{Redirect: &Redirect{StatusCode: 307, Query: new("a=b")}}),
		rule("loop2", 11, one, Action{Redirect: &Redirect{
			StatusCode: 301, Protocol: "HTTP", Host: keyHost, Port: "8080", Path: "/" + keyPath,
		}}),
		rule("bad", 12, one, Action{Redirect: &Redirect{
			StatusCode: 301, Protocol: "https", Host: "#{query}.com", Port: "0", Path: "x", Query: new("a#b"),
		}}),
		rule("bad2", 13, one, Action{Redirect: &Redirect{
			StatusCode: 301, Host: "a b", Port: "+80", Path: "/#{query}", Query: new("#{what}"),
		}}),
		rule("bad3", 14, one, Action{Redirect: &Redirect{StatusCode: 301, Host: "x\r\ny", Port: "65536", Path: "/?a"}}),
	}
	err := tab.Validate()
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{
		`rule "": name must be`, `rule "": priority 0 is`, `rule "a": name is used twice`, `rule "a": priority 7 is that of rule "a"`,
		`rule "a": has no condition`, `rule "a": action has more than one`, `"nobody", which`, "weight 101",
		"one thing, this one looks at 0", "one thing, this one looks at 2", "priority 50001",
		`host pattern "host:80"`, `host pattern ""`, `host pattern "sp ace.com"`, `path pattern "xxx`, `path pattern "/\x7f"`, `path pattern "/ä"`,
		`method "get"`, `method ""`, `method "XXX`, `source "10.0.0.1"`, `source "10.0.0.0/33"`, `source "::ffff:10.0.0.0/104"`, `source "*"`,
		`"HOST": use a host condition`, `header name "X Y"`, `header pattern "tab\tbed"`, `header name "HHH`, `HHH" has no value`,
		`query pattern "key only"`, `query pattern ""`, `query pattern "\n"`, `rule "six": has 6 wildcards, more than 5`,
		"redirect status 307", `rule "loop": redirect loops`, `rule "loop2": redirect loops`,
		`protocol "https"`, `host "#{query}.com"`, `port "0"`, `path "x"`, `query "a#b"`,
		`host "a b"`, `port "+80"`, `path "/#{query}"`, `query "#{what}"`, `host "x\r\ny"`, `port "65536"`, `path "/?a"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing about %s in:\n%v", want, err)
		}
	}
	for _, not := range []string{`rule "bad": redirect loops`, `rule "a": redirect`, `rule "six": query`} {
		if strings.Contains(err.Error(), not) {
			t.Errorf("something about %s in:\n%v", not, err)
		}
	}
	tab.Listeners[0].Rules = []Rule{rule("five", 9, []Condition{{HostHeader: []string{"*.?"}}, {QueryString: []QueryPattern{{Key: "*??", Value: `\**\?`[:4]}}}}, fixed)}
	if err := tab.Validate(); err == nil || !strings.Contains(err.Error(), "has 6 wildcards") {
		t.Errorf("key and value of a query are not counted: %v", err)
	}
	tab.Listeners[0].Rules[0].Conditions[1].QueryString[0].Key = "*?"
	if err := tab.Validate(); err != nil {
		t.Errorf("five wildcards and escapes: %v", err)
	}
	tab.Listeners[0].Address = ":0"
	tab.Listeners[0].Action = Action{Redirect: &Redirect{StatusCode: 301, Port: "8080"}}
	if err := tab.Validate(); err != nil {
		t.Errorf("redirect of a listener: %v", err)
	}
	tab.Listeners[0].Address = ":8080"
	if err := tab.Validate(); err == nil || !strings.Contains(err.Error(), `listener "production": redirect loops`) {
		t.Errorf("redirect of a listener to itself: %v", err)
	}
}

// TestTableWithoutRules: tables that were saved before there were rules are served as they were, and saved rules last.
func TestTableWithoutRules(t *testing.T) {
	dir := filepath.Join(shortDir(t), "data")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	old := `{"version": 7, "listeners": [{"name": "production", "address": "127.0.0.1:0", "limits": {},
		"action": {"fixed": {"status": 204}}}]}`
	if err := os.WriteFile(filepath.Join(dir, "table.json"), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startPlane(t, func(c *Config) { c.Dir = dir })
	s := p.status()
	if resp, _ := dialHTTP(t, s.Listeners[0].Bound).get("/"); resp.StatusCode != 204 || s.Version != 7 {
		t.Fatalf("%d by version %d", resp.StatusCode, s.Version)
	}
	tab := ruled(8, Condition{HTTPHeader: &HeaderCondition{Name: "X", Values: []string{"y"}}})
	tab.Listeners[0].Rules[0].Action = Action{Redirect: &Redirect{StatusCode: 301, Host: "x.org", Query: new("")}}
	p.apply(tab)
	now, err := p.client.Table(context.Background())
	if err != nil || !now.equal(tab) {
		t.Fatalf("table in force %+v, %v", now, err)
	}
	p.stop()
	p = startPlane(t, func(c *Config) { c.Dir = dir })
	a := fields("X", "Y").http1(dialHTTP(t, p.status().Listeners[0].Bound))
	if to := a.Header.Get("Location"); a.StatusCode != 301 || !strings.HasPrefix(to, "http://x.org:") {
		t.Fatalf("after a restart: %d to %q", a.StatusCode, to)
	}
}
