package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/callsign-as/callsign/api"
	"github.com/callsign-as/callsign/gsmbridge"
	"github.com/callsign-as/callsign/sigsync"
	"github.com/callsign-as/callsign/sipas"
	"github.com/callsign-as/callsign/sipas/relay"
	"github.com/callsign-as/callsign/store"
	"github.com/callsign-as/callsign/store/records"
	"github.com/callsign-as/callsign/store/redis"
)

// Config is the whole configuration: each section is the Config of the room that it configures.
type Config struct {
	SIP      relay.Config       `yaml:"sip" doc:"the call path"`
	Show     sipas.Config       `yaml:"show" doc:"what is shown to whom, and when"`
	SMPP     gsmbridge.Config   `yaml:"smpp" doc:"the ways to a handset"`
	Store    store.Config       `yaml:"store" doc:"where signatures are kept"`
	Cache    redis.Config       `yaml:"cache" doc:"what the nodes share besides the store"`
	HTTP     api.Config         `yaml:"http" doc:"REST, push websocket, health and metrics"`
	Sync     SyncConfig         `yaml:"sync" doc:"IM networks that are polled, and what texts have to pass"`
	Records  records.Config     `yaml:"records" doc:"a record of each call to a subscriber with a text, for billing: what its columns mean stands in deploy/records.md"`
	Keywords api.KeywordsConfig `yaml:"keywords" doc:"what handsets may say by SMS, beside STOP and START"`
	State    StateConfig        `yaml:"state" doc:"what this node keeps for itself"`
	Log      LogConfig          `yaml:"log" doc:"the log, on standard error"`
}

// StateConfig is the section state.
type StateConfig struct {
	Dir string `yaml:"dir" doc:"directory for sip.secret, if that is not configured, and for memory.snapshot, what was known when the node stopped"`
}

// LogConfig is the section log.
type LogConfig struct {
	Level  string `yaml:"level" doc:"debug, info, warn or error"`
	Format string `yaml:"format" doc:"text or json"`
}

func defaultConfig() Config {
	return Config{
		SIP: relay.DefaultConfig(), Show: sipas.DefaultConfig(), SMPP: gsmbridge.DefaultConfig(), Store: store.DefaultConfig(),
		Cache: redis.DefaultConfig(), HTTP: api.DefaultConfig(), Sync: SyncConfig{Moderation: sigsync.DefaultModeration()},
		Records: records.DefaultConfig(), State: StateConfig{Dir: "."}, Log: LogConfig{Level: "info", Format: "text"},
	}
}

// Validate reports the first thing in any section that can't work.
func (c *Config) Validate() error {
	for _, section := range []interface{ Validate() error }{&c.SIP, &c.Show, &c.SMPP, &c.Store, &c.Cache, &c.HTTP, &c.Sync, &c.Records, &c.Log} {
		if err := section.Validate(); err != nil {
			return err
		}
	}
	if len(c.SIP.Listen) == 0 && c.HTTP.Listen == "" {
		return errors.New("sip.listen and http.listen are both empty: set one of them, or this node would serve nobody")
	}
	for _, name := range c.Keywords.Links {
		if len(c.SMPP.Links) > 0 && !slices.ContainsFunc(c.SMPP.Links, func(l gsmbridge.LinkConfig) bool { return l.Name == name }) {
			return fmt.Errorf("keywords.links has %q, which is none of smpp.links: write its name as it stands there", name)
		}
	}
	return nil
}

// Validate reports a value that is none.
func (c *LogConfig) Validate() error {
	if _, err := newLog(io.Discard, *c); err != nil {
		return err
	}
	return nil
}

// loadConfig reads the defaults, then the file (if path is not empty), then the environment, and checks the whole.
func loadConfig(path string, environ []string) (c Config, err error) {
	c = defaultConfig()
	if path != "" {
		if err := readFile(path, &c); err != nil {
			return c, err
		}
	}
	if err := readEnvironment(environ, &c); err != nil {
		return c, err
	}
	if err := c.Validate(); err != nil {
		if path != "" {
			return c, fmt.Errorf("%s: %w", path, err)
		}
		return c, err
	}
	return c, nil
}

func readFile(path string, c *Config) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("configuration: %w (callsign config prints the default one)", err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(b))
	decoder.KnownFields(true)
	if err := decoder.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("configuration %s: %s", path, explainYAML(err))
	}
	return nil
}

var (
	unknownField = regexp.MustCompile(`^line (\d+): field (\S+) not found in type \S+$`)
	wrongType    = regexp.MustCompile("^line (\\d+): cannot unmarshal \\S+ `(.*)` into (\\S+)$")
)

// explainYAML says in the words of who wrote the file what the decoder says in Go's.
func explainYAML(err error) string {
	var typeError *yaml.TypeError
	if !errors.As(err, &typeError) {
		return strings.TrimPrefix(err.Error(), "yaml: ")
	}
	var lines []string
	for _, e := range typeError.Errors {
		if m := unknownField.FindStringSubmatch(e); m != nil {
			e = fmt.Sprintf("line %s: unknown key %q (callsign config prints all there are)", m[1], m[2])
		} else if m := wrongType.FindStringSubmatch(e); m != nil {
			e = fmt.Sprintf("line %s: %q is not a value of this key, which is a %s", m[1], m[2], m[3])
		}
		lines = append(lines, e)
	}
	return strings.Join(lines, "; ")
}

// readEnvironment sets each key that has a variable: sip.listen is CALLSIGN_SIP_LISTEN, and CALLSIGN_SIP_SECRET_FILE
// names a file with the value of sip.secret. Values are YAML; a list of texts may also be separated by commas.
func readEnvironment(environ []string, c *Config) error {
	values := map[string]string{}
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok && strings.HasPrefix(name, "CALLSIGN_") {
			values[name] = value
		}
	}
	return eachKey(reflect.ValueOf(c).Elem(), nil, func(path []string, _ reflect.StructField, v reflect.Value) error {
		name := "CALLSIGN_" + strings.ToUpper(strings.Join(path, "_"))
		value, set := values[name]
		if file, ok := values[name+"_FILE"]; ok && !set {
			b, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("%s_FILE: %w", name, err)
			}
			value, set = strings.TrimRight(string(b), "\r\n"), true
		}
		if !set {
			return nil
		}
		if v.Kind() == reflect.String {
			v.SetString(value)
			return nil
		}
		if v.Kind() == reflect.Slice && !isSection(v.Type().Elem()) && !strings.HasPrefix(strings.TrimSpace(value), "[") {
			value = "[" + quoteEach(value) + "]"
		}
		fresh := reflect.New(v.Type())
		decoder := yaml.NewDecoder(strings.NewReader(value))
		decoder.KnownFields(true)
		if err := decoder.Decode(fresh.Interface()); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("environment %s: %s", name, explainYAML(err))
		}
		v.Set(fresh.Elem())
		return nil
	})
}

func quoteEach(list string) string {
	var quoted []string
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item != "" {
			quoted = append(quoted, fmt.Sprintf("%q", item))
		}
	}
	return strings.Join(quoted, ",")
}

// eachKey visits every key below v, sections by sections; a list is one key.
func eachKey(v reflect.Value, path []string, visit func(path []string, f reflect.StructField, v reflect.Value) error) error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		below := append(path[:len(path):len(path)], name)
		var err error
		if isSection(f.Type) {
			err = eachKey(v.Field(i), below, visit)
		} else {
			err = visit(below, f, v.Field(i))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func isSection(t reflect.Type) bool { return t.Kind() == reflect.Struct && t.PkgPath() != "net/netip" }

// printConfig writes the configuration as a file that loadConfig reads, each key under its documentation.
func printConfig(w io.Writer, c Config) error {
	p := &printer{w: w}
	p.line("# Callsign's configuration. Each key can also be set by an environment variable: sip.listen is CALLSIGN_SIP_LISTEN.")
	p.line("# A variable with _FILE behind it names a file that holds the value: CALLSIGN_SIP_SECRET_FILE.")
	p.section(reflect.ValueOf(c), "")
	return p.err
}

type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(s string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, strings.TrimRight(s, " "))
	}
}

func (p *printer) section(v reflect.Value, indent string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("yaml")
		if name == "" {
			continue
		}
		if doc := f.Tag.Get("doc"); doc != "" {
			if indent == "" {
				p.line("")
			}
			p.line(indent + "# " + doc)
		}
		if isSection(f.Type) {
			p.line(indent + name + ":")
			p.section(v.Field(i), indent+"  ")
			continue
		}
		b, err := yaml.Marshal(flow(v.Field(i)))
		if err != nil {
			p.err = errors.Join(p.err, err)
			return
		}
		p.line(indent + name + ": " + strings.TrimSpace(string(b)))
		if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct && isSection(f.Type.Elem()) {
			p.line(indent + "#  each of them has")
			example := &bytes.Buffer{}
			(&printer{w: example}).section(elementDefault(f.Type.Elem()), "")
			for line := range strings.Lines(example.String()) {
				if strings.TrimSpace(line) != "" {
					p.line(indent + "#   " + strings.TrimRight(line, "\n"))
				}
			}
		}
	}
}

// elementDefault is what an element of a list of structs is when nothing of it is configured.
func elementDefault(t reflect.Type) reflect.Value {
	v := reflect.New(t)
	_ = yaml.Unmarshal([]byte("{}"), v.Interface())
	return v.Elem()
}

// flow makes lists print in one line.
func flow(v reflect.Value) any {
	if v.Kind() != reflect.Slice {
		return v.Interface()
	}
	var node yaml.Node
	if err := node.Encode(v.Interface()); err != nil || v.Len() == 0 {
		return &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	}
	node.Style = yaml.FlowStyle
	return &node
}

// inStateDir is the path of a file of this node's own.
func (c *Config) inStateDir(name string) string { return filepath.Join(c.State.Dir, name) }
