# syntax=docker/dockerfile:1
# One program is all that a PHP image needs: mail() calls /usr/sbin/sendmail.
FROM golang:1.26-alpine AS mailer
COPY --from=postern-source . /src
WORKDIR /src
RUN CGO_ENABLED=0 go build -trimpath -o /sendmail ./cmd/sendmail

FROM php:8-cli
COPY --from=mailer /sendmail /usr/sbin/sendmail
RUN install -d -m 1777 /var/spool/postern
COPY <<'PHP' /app/hello.php
<?php
exit(mail('you@example.com', 'hello from a container', "It works.\n") ? 0 : 1);
PHP
CMD ["php", "/app/hello.php"]
