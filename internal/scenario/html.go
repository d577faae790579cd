package scenario

import (
	_ "embed" // the page
	"fmt"
	html "html/template"
	"io"
	"sync"
)

//go:embed page.html
var pageText string

var page = sync.OnceValue(func() *html.Template {
	return html.Must(html.New("page").Funcs(html.FuncMap{"took": took}).Parse(pageText))
})

// WriteHTML writes results as one page that needs nothing else: no script, no other file.
func WriteHTML(w io.Writer, s Summary) error {
	if err := page().Execute(w, s); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}
