package faults

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// wire is a proxy between our roles and one server.
type wire struct {
	name  string
	proxy *toxiproxy.Proxy
}

// wired puts a proxy before broker and directory, and makes trouble on them.
func (h *house) wired() (func(context.Context), error) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // the library logs beside the logger it is given
	log := zerolog.Nop()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), log)
	var wires []wire
	for name, upstream := range map[string]string{
		"broker": strings.TrimPrefix(h.broker.URL, "nats://"), "directory": strings.TrimPrefix(h.slapd.URL, "ldap://"),
	} {
		p := toxiproxy.NewProxy(server, name, "127.0.0.1:0", upstream)
		if err := p.Start(); err != nil {
			return nil, err
		}
		h.t.Cleanup(p.Stop)
		wires = append(wires, wire{name, p})
		for _, r := range h.roles {
			if name == "broker" {
				r.wires = append(r.wires, "MATRICULA_NATS_URL=nats://"+p.Listen)
			} else {
				r.wires = append(r.wires, "MATRICULA_LDAP_URL=ldap://"+p.Listen)
			}
		}
	}
	return func(ctx context.Context) { h.tangle(ctx, wires) }, nil
}

// tangle goes through what can be wrong with a line: slow, narrow, cut,
// half-open. Connections that were there before feel it too.
func (h *house) tangle(ctx context.Context, wires []wire) {
	wrongs := []struct{ kind, settings string }{
		{"latency", `{"latency": 300, "jitter": 200}`},
		{"timeout", `{"timeout": 0}`}, // half-open: what is sent goes nowhere
		{"bandwidth", `{"rate": 20}`},
		{"reset_peer", `{"timeout": 50}`},
		{"slicer", `{"average_size": 20, "size_variation": 10, "delay": 500}`},
	}
	random := h.dice()
	for n := 0; ctx.Err() == nil; n++ {
		h.disturbed()
		wrong, w := wrongs[n%len(wrongs)], wires[n%len(wires)]
		direction := []string{"upstream", "downstream"}[random.IntN(2)]
		body := fmt.Sprintf(`{"name":"wrong","type":%q,"stream":%q,"toxicity":1,"attributes":%s}`, wrong.kind, direction, wrong.settings)
		if _, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(body)); err != nil {
			h.t.Errorf("%s on the line to the %s: %v", wrong.kind, w.name, err)
		}
		h.killed("F12 " + wrong.kind)
		pause(ctx, 2*time.Second)
		w.mend(wrong.kind, h)
		if wrong.kind == "timeout" || n%3 == 0 { // a partition: nobody gets through, then all may again
			w.proxy.Stop()
			h.killed("F13")
			pause(ctx, 1500*time.Millisecond)
			if err := w.proxy.Start(); err != nil {
				h.t.Errorf("the line to the %s: %v", w.name, err)
			}
		}
		pause(ctx, 300*time.Millisecond)
	}
	h.disturbed()
}

// mend takes the trouble away; a line that cannot be mended is cut.
func (w wire) mend(kind string, h *house) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := w.proxy.Toxics.RemoveToxic(ctx, "wrong"); err != nil {
		h.t.Errorf("%s on the line to the %s stays: %v", kind, w.name, err)
	}
}
