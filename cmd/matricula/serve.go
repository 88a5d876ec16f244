package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"usn.no/matricula/worker"
)

const serveHelp = `Run the roles: worker (events become accounts), mailer (letters go out), portal
(people activate). One process can have all of them or one; run as many of each
as you like, on as many machines.

It ends on SIGTERM after finishing what is in hand. Killed at any moment it
loses nothing: what was not acknowledged comes again.`

func serveCommand() *cobra.Command {
	var roles []string
	c := &cobra.Command{
		Use:     "serve",
		Short:   "Run worker, mailer and portal",
		Long:    serveHelp,
		Example: "  matricula serve --config /etc/matricula/matricula.toml\n  matricula serve --role worker,mailer",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, r := range roles {
				if !slices.Contains(everyRole(), r) {
					return usage("role %q is not one of %s", r, strings.Join(everyRole(), ", "))
				}
			}
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			return serve(c, cfg, roles)
		},
	}
	c.Flags().StringSliceVar(&roles, "role", everyRole(), "roles of this process")
	_ = c.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(everyRole(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func serve(c *cobra.Command, cfg Config, roles []string) error {
	s := &system{cfg: cfg, log: newLog(cfg.Log, c), clock: &clock{}}
	defer s.close()
	if cfg.Embedded {
		if err := s.embed(c.Context(), roles); err != nil {
			return err
		}
	}
	if err := s.cfg.ReadyFor(roles...); err != nil {
		return err
	}
	r, err := s.start(c.Context(), roles)
	if err != nil {
		return err
	}
	s.log.Info().Strs("roles", roles).Str("version", thisVersion().Version).Msg("ready")
	err = r.run(c.Context())
	s.log.Info().Msg("ended")
	if c.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return nil // told to end while it was still starting
	}
	return err
}

// running is the roles of a process.
type running struct {
	*system
	worker   *workerRole
	mailer   *mailerRole
	portal   *portalRole
	registry *prometheus.Registry
}

// start makes the roles ready; run runs them.
func (s *system) start(ctx context.Context, roles []string) (*running, error) {
	r := &running{system: s, registry: prometheus.NewRegistry()}
	r.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m, err := worker.NewMetrics(), error(nil)
	r.registry.MustRegister(m)
	for _, role := range roles {
		switch role {
		case roleWorker:
			if r.worker, err = s.newWorker(ctx, m); err == nil {
				r.registry.MustRegister(r.worker.brake.held, r.worker.crowd.slowed)
			}
		case roleMailer:
			if r.mailer, err = s.newMailer(ctx, m); err == nil {
				r.registry.MustRegister(r.mailer.letters)
			}
		case rolePortal:
			r.portal, err = s.newPortal(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", role, err)
		}
	}
	return r, nil
}

func (r *running) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if r.worker != nil {
		g.Go(func() error { return r.worker.run(ctx) })
	}
	if r.mailer != nil {
		g.Go(func() error { return r.mailer.run(ctx) })
	}
	if r.portal != nil {
		g.Go(func() error { return r.portal.run(ctx) })
	}
	if r.cfg.Metrics.Listen != "" {
		g.Go(func() error { return r.observe(ctx) })
	}
	return g.Wait()
}

// observe serves operators: alive, ready, metrics. It listens apart from the
// portal, where the public cannot reach it.
func (r *running) observe(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, req *http.Request) {
		if problems := r.unready(req.Context()); len(problems) > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprintln(w, strings.Join(problems, "\n"))
			return
		}
		_, _ = fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{}))
	l, err := net.Listen("tcp", r.cfg.Metrics.Listen)
	if err != nil {
		return fmt.Errorf("metrics.listen: %w", err)
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = srv.Close()
	}()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// unready says what does not answer right now.
func (r *running) unready(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var out []string
	if r.worker != nil {
		if err := r.worker.people.Ping(ctx); err != nil {
			out = append(out, "worker: directory: "+err.Error())
		} else if err := r.worker.trial.run(ctx); err != nil {
			out = append(out, "worker: directory takes no writes (is its disk or map full?): "+err.Error())
		}
		if !r.worker.js.Conn().IsConnected() {
			out = append(out, "worker: broker is not connected")
		} else if err := r.worker.writable(ctx); err != nil {
			out = append(out, "worker: broker takes no writes (is its disk full?): "+err.Error())
		}
		for _, o := range r.worker.intake.Outages() {
			out = append(out, fmt.Sprintf("worker: %s does not answer since %s", o.Dependency, o.Since.UTC().Format(time.RFC3339)))
		}
	}
	if r.mailer != nil {
		if !r.mailer.js.Conn().IsConnected() {
			out = append(out, "mailer: broker is not connected")
		}
		for _, o := range r.mailer.work.Outages() {
			out = append(out, fmt.Sprintf("mailer: %s does not answer since %s", o.Dependency, o.Since.UTC().Format(time.RFC3339)))
		}
	}
	if r.portal != nil {
		if err := r.portal.people.Ping(ctx); err != nil {
			out = append(out, "portal: directory: "+err.Error())
		}
		if !r.portal.js.Conn().IsConnected() {
			out = append(out, "portal: broker is not connected")
		} else if err := r.portal.witness.agrees(ctx); err != nil {
			out = append(out, "portal: "+err.Error())
		}
	}
	return out
}

// brokerDir is where the embedded broker keeps its streams.
func (c *Config) brokerDir() string { return filepath.Join(string(c.DataDir), "broker") }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
