package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// The limits of a request; a push connection has its own after the upgrade.
const (
	headerTime = 5 * time.Second
	readTime   = 30 * time.Second
	writeTime  = time.Minute
	idleTime   = 2 * time.Minute
	headerSize = 16 << 10
)

// Run serves l, over TLS if Config says so, until ctx ends. Then it takes no more connections, tells push connections to go,
// gives them and the requests at hand Config.Grace, and leaves nothing running. It is called once.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	// Requests outlive ctx by the grace.
	base, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	if s.tls != nil && l != nil {
		l = tls.NewListener(l, s.tls)
	}
	server := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: headerSize, BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	g, ctx := errgroup.WithContext(ctx)
	if s.o.Admin != nil {
		admin := &http.Server{Handler: profiles(), ReadHeaderTimeout: headerTime}
		g.Go(func() error {
			if err := admin.Serve(s.o.Admin); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve http.admin on %s: %w", s.o.Admin.Addr(), err)
			}
			return nil
		})
		defer context.AfterFunc(ctx, func() { _ = admin.Close() })()
	}
	g.Go(func() error {
		if l == nil {
			return nil
		}
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve http on %s: %w", l.Addr(), err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		close(s.stopping)
		var stopping errgroup.Group
		stopping.Go(func() error {
			s.push.drain(s.o.Config.Grace)
			return nil
		})
		stopping.Go(func() error {
			late, cancel := context.WithTimeout(base, s.o.Config.Grace)
			defer cancel()
			if server.Shutdown(late) != nil {
				kill()
				return server.Close()
			}
			return nil
		})
		return stopping.Wait()
	})
	return g.Wait()
}
