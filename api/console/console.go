// Package console is the web console: pages that ask the API beside them, in the browser, with the key of whoever signs in. It knows no
// call, key or store, keeps nothing, loads nothing from elsewhere, and owns no goroutine.
package console

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed web
var web embed.FS

// policy lets a page run our own files only: no inline script or style, no frame, no form that is sent anywhere. Trusted Types refuse
// whatever would read a text as markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Handler serves the console's files below prefix, like /console/.
func Handler(prefix string) http.Handler {
	files, err := fs.Sub(web, "web")
	if err != nil {
		panic(err) // the name is one of ours
	}
	serve := http.StripPrefix(prefix, http.FileServerFS(files))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		w.Header().Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		serve.ServeHTTP(w, r)
	})
}
