package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/callsign-as/callsign/deploy/peer"
)

// The two documents that a node serves are what validators of their standards take; a broken one they don't.
func TestTheDocumentsAreValid(t *testing.T) {
	t.Parallel()
	node, modules := peer.Node(t, "@asyncapi/parser")
	n := serve(t, nil)
	var documents struct {
		OpenAPI  object `json:"openapi"`
		AsyncAPI object `json:"asyncapi"`
	}
	n.do(http.MethodGet, "/openapi.json", "", &documents.OpenAPI)
	n.do(http.MethodGet, "/asyncapi.json", "", &documents.AsyncAPI)
	valid := func() (string, bool) {
		in, err := json.Marshal(documents)
		if err != nil {
			t.Fatal(err)
		}
		validator := exec.CommandContext(t.Context(), node, "documents.mjs")
		validator.Env = append(os.Environ(), "CALLSIGN_NODE_PATH="+modules)
		validator.Stdin = strings.NewReader(string(in))
		out, err := validator.CombinedOutput()
		return string(out), err == nil
	}
	if out, ok := valid(); !ok {
		t.Errorf("the documents are not valid:\n%s", out)
	}
	documents.OpenAPI["paths"].(object)["/healthz"].(object)["get"].(object)["responses"] = 1
	if out, ok := valid(); ok || !strings.Contains(out, "responses") {
		t.Errorf("a broken OpenAPI document is taken: %s", out)
	}
	documents.OpenAPI["paths"] = object{}
	documents.AsyncAPI["operations"].(object)["greet"].(object)["action"] = "shout"
	if out, ok := valid(); ok || !strings.Contains(out, "action") {
		t.Errorf("a broken AsyncAPI document is taken: %s", out)
	}
}
