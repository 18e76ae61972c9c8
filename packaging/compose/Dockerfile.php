# One program is all that a PHP image needs: mail() calls /usr/sbin/sendmail.
FROM golang:1.26-alpine AS mailer
WORKDIR /src
COPY --from=postern-source go.mod go.sum ./
COPY --from=postern-source cmd cmd
COPY --from=postern-source internal internal
RUN CGO_ENABLED=0 go build -trimpath -o /sendmail ./cmd/sendmail

FROM php:8-cli
COPY --from=mailer /sendmail /usr/sbin/sendmail
RUN mkdir -p -m 1777 /var/spool/postern
COPY hello.php /app/
CMD ["php", "/app/hello.php"]
