package scenario

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestGRPC: what a call sends and sees, by reflection.
func TestGRPC(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string]string{
		"unary":          `{grpc: shop.v1.Catalogue/GetBook, json: {id: 1}, assert: [status == "OK" and code == 0, message == "", body.title == "Emma", 'body.id == "1"']}`,
		"no message":     `{grpc: shop.v1.Catalogue/GetBook, assert: ['body.id == "0"']}`,
		"names":          `{grpc: shop.v1.Catalogue/GetBook, json: {format: HARDBACK, like: {in_stock: 1}}, assert: [body.inStock == 0, 'body.format == "FORMAT_UNKNOWN"', 'body.sequels == []', 'not has(body, "published")']}`,
		"exact":          `{grpc: shop.v1.Catalogue/GetBook, json: {id: 9007199254740993}, assert: ['body.id == "9007199254740993"']}`,
		"template":       `{grpc: shop.v1.Catalogue/GetBook, json: {id: "${{ vars.n }}"}, assert: ['body.id == "7"']}`,
		"whole template": `{grpc: shop.v1.Catalogue/GetBook, json: "${{ vars.message }}", assert: ['body.id == "8"']}`,
		"status":         `{grpc: shop.v1.Catalogue/GetBook, json: {id: 404}, assert: [status == "NOT_FOUND" and code == 5, 'message == "no such book: “404” % done"']}`,
		"odd status":     `{grpc: shop.v1.Catalogue/GetBook, json: {id: 55}, assert: [status == "CODE_55", code == 55]}`,
		"code alone":     `{grpc: shop.v1.Catalogue/GetBook, json: {id: 404}, assert: [code == 5]}`,
		"metadata":       `{grpc: shop.v1.Catalogue/GetBook, headers: {X-Own: "${{ vars.n }}"}, assert: ['headers["x-own"] == "7" and trailers["x-cost"] == "7"']}`,
		"auth":           `{grpc: shop.v1.Catalogue/GetBook, json: {id: 16}, auth: {bearer: t-7}, assert: [status == "OK"]}`,
		"stream":         `{grpc: shop.v1.Catalogue/ListBooks, json: {id: 3}, assert: ['map(body, .id) == ["1", "2", "3"]', 'trailers["x-cost"] == "7"']}`,
		"empty stream":   `{grpc: shop.v1.Catalogue/ListBooks, assert: [len(body) == 0]}`,
		"broken stream":  `{grpc: shop.v1.Catalogue/ListBooks, json: {id: 404}, assert: [status == "NOT_FOUND", len(body) == 404]}`,
		"client stream":  `{grpc: shop.v1.Catalogue/AddBooks, json: [{id: 1}, {id: 2}], assert: ['body.id == "2"']}`,
		"empty client":   `{grpc: shop.v1.Catalogue/AddBooks, assert: ['body.id == "0"']}`,
		"both streams":   `{grpc: shop.v1.Catalogue/Chat, json: [{id: 1}, {id: 2}], assert: ['map(body, .id) == ["101", "102"]']}`,
		"capture":        `{name: a, grpc: shop.v1.Catalogue/GetBook, json: {id: 3}, capture: {id: body.id}}, {grpc: shop.v1.Catalogue/GetBook, json: {id: "${{ steps.a.id }}"}, assert: ['body.id == "3"']}`,
		"retry":          `{grpc: shop.v1.Catalogue/GetBook, json: {id: 5}, retry: {timeout: 30s, interval: 1ms}}`,
		"repeat":         `{grpc: shop.v1.Catalogue/GetBook, repeat: 3, assert: ['len(latencies) == 3 and p95(latencies) < duration("1m") and latency > duration("0s")']}`,
		"schema":         `{grpc: shop.v1.Catalogue/GetBook, schema: {required: [id, title]}}`,
		"mapping":        `{grpc: {method: shop.v1.Catalogue/GetBook, url: "${{ base_url }}/"}, json: {id: 2}, assert: ['url endsWith "/shop.v1.Catalogue/GetBook"']}`,
		"read":           `{grpc: shop.v1.Catalogue/GetBook, effect: read}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, shopOptions{})
			want(t, s.run(t, "version: 1\nvars: {n: 7, message: {id: 8}}\nheaders: {content-type: text/x}\nsteps: ["+steps+"]\n"), Pass, "")
			if trace := strings.Join(s.seen.Get("traceparent"), ""); name != "client stream" && name != "both streams" && name != "empty client" && len(trace) != 55 {
				t.Errorf("traceparent %q", trace)
			}
		})
	}
}

// TestGRPC_not: what must not pass.
func TestGRPC_not(t *testing.T) {
	t.Parallel()
	s := newShop(t, shopOptions{})
	web := newService(t)
	for _, c := range []struct {
		name, step string
		verdict    Verdict
		message    string
	}{
		{"implicit status", `{grpc: shop.v1.Catalogue/GetBook, json: {id: 404}}`, Fail, `status == "OK": "NOT_FOUND" against "OK"`},
		{"implicit beside others", `{grpc: shop.v1.Catalogue/GetBook, json: {id: 404}, assert: ['message != ""']}`, Fail, `status == "OK"`},
		{"no message", `{grpc: shop.v1.Catalogue/GetBook, json: {id: 404}, assert: [code == 5, body.id != "1"]}`, Fail, "there is no message; the status is NOT_FOUND"},
		{"status is a text", `{grpc: shop.v1.Catalogue/GetBook, json: {id: 404}, assert: [code == 5 and status != "OK" and status == "OK"]}`, Fail, `"NOT_FOUND" against "OK"`},
		{"missing field", `{grpc: shop.v1.Catalogue/GetBook, assert: ['body.titel != "x"']}`, Fail, `did you mean "title"`},
		{"unset message", `{grpc: shop.v1.Catalogue/GetBook, assert: ['body.published != "x"']}`, Fail, `no field "published"`},
		{"64 bits", `{grpc: shop.v1.Catalogue/GetBook, assert: ['body.id != 5']}`, Fail, "a text is compared with a number"},
		{"no trailer", `{grpc: shop.v1.Catalogue/GetBook, assert: ['trailers["x-nothing"] != "1"']}`, Fail, "there is no header"},
		{"schema", `{grpc: shop.v1.Catalogue/GetBook, schema: {required: [price]}}`, Fail, "missing property 'price'"},
		{"service", `{grpc: shop.v1.Cataloge/GetBook}`, Error, `the server's reflection knows no service "shop.v1.Cataloge" (did you mean "shop.v1.Catalogue"?)`},
		{"method", `{grpc: shop.v1.Catalogue/GetBok}`, Error, `the service shop.v1.Catalogue has no method "GetBok" (did you mean "GetBook"?)`},
		{"field", `{grpc: shop.v1.Catalogue/GetBook, json: {idd: 1}}`, Error, `shop.v1.GetBookRequest has no field "idd" (did you mean "id"?)`},
		{"inner field", `{grpc: shop.v1.Catalogue/GetBook, json: {like: {sequels: [{idd: 1}]}}}`, Error, `shop.v1.Book has no field "idd"`},
		{"kind of field", `{grpc: shop.v1.Catalogue/GetBook, json: {id: x}}`, Error, "json is no shop.v1.GetBookRequest"},
		{"stream of one", `{grpc: shop.v1.Catalogue/AddBooks, json: {id: 1}}`, Error, "AddBooks takes a stream: give it a list of messages"},
		{"one of a stream", `{grpc: shop.v1.Catalogue/GetBook, json: [{id: 1}]}`, Error, "GetBook takes one message, not a list"},
		{"no end", `{grpc: shop.v1.Catalogue/GetBook, json: {id: 99}, timeout: 300ms}`, Error, "no answer within the step's time limit"},
		{"nobody", `{grpc: {method: shop.v1.Catalogue/GetBook, url: "http://127.0.0.1:1"}}`, Error, "no answer"},
		{"HTTP/1", `{grpc: {method: shop.v1.Catalogue/GetBook, url: "` + web.URL + `"}}`, Error, "no answer"},
		{"no TLS", `{grpc: {method: shop.v1.Catalogue/GetBook, url: "${{ \"https\" + base_url[4:] }}"}}`, Error, "no answer"},
		{"retry ends", `{grpc: shop.v1.Catalogue/GetBook, json: {id: 404}, retry: {attempts: 2, interval: 1ms}}`, Fail, "after 2 attempts"},
		{"repeat one bad", `{grpc: shop.v1.Catalogue/GetBook, json: {id: 5}, repeat: 4, assert: [status == "UNAVAILABLE"]}`, Fail, "UNAVAILABLE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			own := s
			if strings.HasPrefix(c.name, "repeat") {
				own = newShop(t, shopOptions{})
			}
			want(t, own.run(t, "version: 1\nsteps: ["+c.step+"]\n"), c.verdict, c.message)
		})
	}
	for reflection, want2 := range map[string]Verdict{"v1alpha": Pass, "none": Error} {
		r := newShop(t, shopOptions{reflection: reflection}).run(t, "version: 1\nsteps: [{grpc: shop.v1.Catalogue/GetBook}]\n")
		message := ""
		if want2 == Error {
			message = "the server has no reflection; give the scenario `descriptors`"
		}
		want(t, r, want2, message)
	}
}

// TestGRPC_secrets: metadata, messages, statuses and trailers are masked like all evidence.
func TestGRPC_secrets(t *testing.T) {
	t.Parallel()
	s := newShop(t, shopOptions{title: "hunter2-and more"})
	r := s.run(t, `version: 1
secrets: [PASSWORD]
steps:
  - {grpc: shop.v1.Catalogue/GetBook, auth: {bearer: "${{ secrets.PASSWORD }}"}, json: {like: {title: "${{ secrets.PASSWORD }}"}}, headers: {x-own: "${{ secrets.PASSWORD }}"}}
  - {grpc: shop.v1.Catalogue/GetBook, json: {id: 404}, headers: {authorization: secret-of-a-header}}
`)
	want(t, r, Fail, "NOT_FOUND")
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter2", "aHVudGVyMi", `"Authorization","value":"secret`} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%q is in the result: %s", secret, text)
		}
	}
	first, second := r.Steps[0].Attempts[0], r.Steps[1].Attempts[0]
	if got := first.Response.Body.Text; !strings.Contains(got, `"title":"***"`) || first.Response.GRPC.Name != "OK" || first.Timings.Total <= 0 {
		t.Errorf("evidence %+v, body %s", first.Response, got)
	}
	if got := first.Request.Body.Text; got != `{"like":{"title":"***"}}` || first.Request.URL != s.url+"/shop.v1.Catalogue/GetBook" {
		t.Errorf("request %+v", first.Request)
	}
	if r := second.Response; r.GRPC.Code != 5 || len(r.Trailers) == 0 {
		t.Errorf("evidence %+v", r)
	}
	var page, told strings.Builder
	if err := WriteHTML(&page, Summarize([]Result{r})); err != nil || !strings.Contains(page.String(), "gRPC NOT_FOUND: no such book") {
		t.Errorf("the page lacks the status: %v", err)
	}
	if err := WriteStep(&told, r.Steps[1], false); err != nil || !strings.Contains(told.String(), "GetBook -> NOT_FOUND: no such book") {
		t.Errorf("%v\n%s", err, told.String())
	}
}
