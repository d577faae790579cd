package main

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// actionPrefixes are the names in IAM actions that differ from the names in signatures.
var actionPrefixes = map[string]string{"monitoring": "cloudwatch"}

// service prints what the model says of the service as a whole.
func (g *generator) service() {
	meta := g.model.Metadata
	signing := cmp.Or(meta.SigningName, meta.EndpointPrefix)
	g.printf("// Model is what the model says of the service.\nfunc Model() shapes.Service {\nreturn shapes.Service{\n")
	g.printf("ID: %q,\nPrefix: %q,\nSigning: %q,\nVersion: %q,\n", meta.ServiceID, cmp.Or(actionPrefixes[signing], signing), signing, meta.APIVersion)
	g.printf("Protocols: []string{\"%s\"},\n", strings.Join(meta.Protocols, `", "`))
	if meta.TargetPrefix != "" {
		g.printf("Target: TargetPrefix,\n")
	}
	if meta.JSONVersion != "" {
		g.printf("JSONVersion: %q,\n", meta.JSONVersion)
	}
	namespace := meta.XMLNamespace
	if namespace == "" && meta.ServiceID == "S3" {
		namespace = "http://s3.amazonaws.com/doc/2006-03-01/" // the model has it at the inputs only
	}
	if namespace != "" {
		g.printf("Namespace: %q,\n", namespace)
	}
	if meta.QueryErrors != nil {
		g.printf("QueryErrors: true,\n")
	}
	g.printf("Operations: Operations(),\nErrors: faults(),\n}\n}\n\n")
}

// operations prints one line an operation. Method and path are left out where they are POST /.
func (g *generator) operations(names []string) {
	g.printf("// Operations lists the operations of operations.txt, sorted by name.\nfunc Operations() []shapes.Operation {\nreturn []shapes.Operation{\n")
	for _, name := range names {
		g.operation(name)
	}
	g.printf("}\n}\n\n")
}

func (g *generator) operation(name string) {
	op := g.model.Operations[name]
	g.printf("{Name: %q", name)
	if op.HTTP.Method != "POST" && op.HTTP.Method != "" || op.HTTP.URI != "/" && op.HTTP.URI != "" {
		g.printf(", Method: %q, URI: %q", op.HTTP.Method, op.HTTP.URI)
	}
	if op.HTTP.Status != 0 && op.HTTP.Status != 200 {
		g.printf(", Status: %d", op.HTTP.Status)
	}
	if op.Input != nil {
		g.printf(", Input: reflect.TypeFor[%s]()", goName(op.Input.Shape))
	}
	if op.Output != nil {
		g.printf(", Output: reflect.TypeFor[%s]()", goName(op.Output.Shape))
		if wrapper := op.Output.ResultWrapper; wrapper != "" && wrapper != name+"Result" {
			g.refuse("%s: the result is called %s", name, wrapper)
		}
	}
	if len(op.Errors) > 0 {
		list := make([]string, len(op.Errors))
		for i, e := range op.Errors {
			list[i] = e.Shape
		}
		g.printf(", Errors: []string{\"%s\"}", strings.Join(list, `", "`))
	}
	g.printf("},\n")
}

// errorTable prints what differs from an error with status 400 whose code is its name.
func (g *generator) errorTable(operations []string) {
	names := map[string]bool{}
	for _, op := range operations {
		for _, e := range g.model.Operations[op].Errors {
			names[e.Shape] = true
		}
	}
	g.printf("// faults has what the model says of the errors that these operations may answer.\nfunc faults() map[string]shapes.Fault {\nreturn map[string]shapes.Fault{\n")
	for _, name := range slices.Sorted(maps.Keys(names)) {
		g.fault(name)
	}
	g.printf("}\n}\n\n")
}

func (g *generator) fault(name string) {
	s := g.model.Shapes[name]
	status := s.Error.Status
	if status == 0 && s.Fault {
		status = 500
	}
	g.printf("%q: {", name)
	var parts []string
	if s.Error.Code != "" && s.Error.Code != name {
		parts = append(parts, `Code: "`+s.Error.Code+`"`)
	}
	if status != 0 && status != 400 {
		parts = append(parts, "Status: "+strconv.Itoa(status))
	}
	if s.Fault || status >= 500 {
		parts = append(parts, "Server: true")
	}
	if _, ok := s.Members["Message"]; ok {
		parts = append(parts, `Message: "Message"`)
	}
	if _, ok := s.Members["Type"]; ok {
		parts = append(parts, "Typed: true")
	}
	g.printf("%s},\n", strings.Join(parts, ", "))
}

// wireTag says where a member is and how it is written, empty where the rule of the protocol does.
func (g *generator) wireTag(structure, member string, payload bool) string {
	ref := g.model.Shapes[structure].Members[member]
	s := g.model.Shapes[ref.Shape]
	name := cmp.Or(ref.LocationName, member)
	tag := g.place(structure, member, name, ref)
	if payload {
		tag = append(tag, "payload")
	}
	if ref.XMLAttribute {
		g.refuse("%s.%s: XML attributes are not supported", structure, member)
	}
	if f := cmp.Or(ref.TimestampFormat, s.TimestampFormat); f != "" && s.Type == "timestamp" {
		tag = append(tag, "time="+f)
	}
	if ref.Flattened || s.Flattened {
		tag = append(tag, "flat")
	}
	if s.Type == "list" {
		tag = append(tag, named("item", s.Member)...)
	}
	if s.Type == "map" {
		tag = append(tag, named("key", s.Key)...)
		tag = append(tag, named("value", s.Value)...)
	}
	return strings.Join(tag, ",")
}

// place is the part of the tag that says where the member is.
func (g *generator) place(structure, member, name string, ref shapeRef) []string {
	switch ref.Location {
	case "":
		if name == member {
			return nil
		}
		if slices.ContainsFunc(g.model.Metadata.Protocols, func(p string) bool { return strings.Contains(p, "json") || strings.Contains(p, "cbor") }) {
			g.refuse("%s.%s: is called %s in a body of JSON", structure, member, name)
		}
		return []string{"name=" + name}
	case "uri", "header", "headers":
		return []string{ref.Location + "=" + name}
	case "querystring":
		return []string{"query=" + name}
	case "statusCode":
		return []string{"status"}
	}
	g.refuse("%s.%s: the location %s is not supported", structure, member, ref.Location)
	return nil
}

func named(what string, ref *shapeRef) []string {
	if ref.LocationName == "" {
		return nil
	}
	return []string{what + "=" + ref.LocationName}
}
