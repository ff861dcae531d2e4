import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.vertx.core.AbstractVerticle;
import io.vertx.core.DeploymentOptions;
import io.vertx.core.MultiMap;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.HexFormat;
import java.util.Properties;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * A signed RevenueCat webhook, durable in Kafka, then 200: what ingest does, by Vert.x and kafka-clients.
 *
 * <p>Tuned: one event loop for each core, epoll, one producer for all of them (lz4, 1 ms of linger, as ingest), one
 * HMAC for each event loop, a streaming parser that looks at four fields, no promise or buffer more than needed.
 */
public final class VertxIngest extends AbstractVerticle {
  private static final long TOLERANCE_SECONDS = 300;
  private static final JsonFactory JSON = new JsonFactory();
  private static final HexFormat HEX = HexFormat.of();

  private final KafkaProducer<byte[], byte[]> producer;
  private final String topic;
  private final byte[] authorization;
  private final Mac mac;
  private final int port;

  private VertxIngest(KafkaProducer<byte[], byte[]> producer, Properties settings) {
    this.producer = producer;
    this.topic = settings.getProperty("topic");
    this.port = Integer.parseInt(settings.getProperty("port"));
    this.authorization = settings.getProperty("authorization").getBytes(StandardCharsets.UTF_8);
    try {
      this.mac = Mac.getInstance("HmacSHA256");
      byte[] secret = settings.getProperty("secret").getBytes(StandardCharsets.UTF_8);
      this.mac.init(new SecretKeySpec(secret, "HmacSHA256"));
    } catch (java.security.GeneralSecurityException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  public static void main(String[] arguments) {
    Properties settings = System.getProperties();
    Properties kafka = new Properties();
    kafka.put("bootstrap.servers", settings.getProperty("brokers"));
    kafka.put("acks", "all");
    kafka.put("enable.idempotence", "true");
    kafka.put("compression.type", "lz4");
    kafka.put("linger.ms", "1");
    kafka.put("delivery.timeout.ms", "8000");
    kafka.put("request.timeout.ms", "7000");
    var producer =
        new KafkaProducer<byte[], byte[]>(kafka, new ByteArraySerializer(), new ByteArraySerializer());
    producer.partitionsFor(settings.getProperty("topic"));
    int cores = Runtime.getRuntime().availableProcessors();
    Vertx vertx =
        Vertx.vertx(new VertxOptions().setPreferNativeTransport(true).setEventLoopPoolSize(cores));
    vertx
        .deployVerticle(
            () -> new VertxIngest(producer, settings), new DeploymentOptions().setInstances(cores))
        .onFailure(failure -> System.exit(1));
  }

  @Override
  public void start(io.vertx.core.Promise<Void> started) {
    HttpServerOptions options =
        new HttpServerOptions().setTcpNoDelay(true).setTcpQuickAck(true).setReusePort(true);
    vertx
        .createHttpServer(options)
        .requestHandler(this::receive)
        .listen(port, "127.0.0.1")
        .<Void>mapEmpty()
        .onComplete(started);
  }

  private void receive(HttpServerRequest request) {
    if (!"/webhooks/revenuecat".equals(request.path())) {
      request.response().setStatusCode(404).end();
      return;
    }
    MultiMap headers = request.headers();
    request
        .body()
        .onSuccess(
            body -> {
              byte[] bytes = body.getBytes();
              if (!isAuthentic(headers, bytes)) {
                request.response().setStatusCode(401).end();
                return;
              }
              append(request, bytes);
            });
  }

  private boolean isAuthentic(MultiMap headers, byte[] body) {
    String given = headers.get("authorization");
    String signature = headers.get("x-revenuecat-webhook-signature");
    if (given == null || signature == null) {
      return false;
    }
    if (!MessageDigest.isEqual(authorization, given.getBytes(StandardCharsets.UTF_8))) {
      return false;
    }
    int comma = signature.indexOf(",v1=");
    if (!signature.startsWith("t=") || comma < 0) {
      return false;
    }
    try {
      String time = signature.substring(2, comma);
      long age = Instant.now().getEpochSecond() - Long.parseLong(time);
      if (Math.abs(age) > TOLERANCE_SECONDS) {
        return false;
      }
      mac.update(time.getBytes(StandardCharsets.US_ASCII));
      mac.update((byte) '.');
      return MessageDigest.isEqual(mac.doFinal(body), HEX.parseHex(signature, comma + 4, signature.length()));
    } catch (IllegalArgumentException malformed) {
      return false;
    }
  }

  private void append(HttpServerRequest request, byte[] body) {
    String id = null;
    String type = null;
    String subscriber = null;
    try (JsonParser json = JSON.createParser(body)) {
      json.nextToken();
      while (json.nextToken() == JsonToken.FIELD_NAME) {
        boolean isEvent = "event".equals(json.currentName());
        if (json.nextToken() != JsonToken.START_OBJECT || !isEvent) {
          json.skipChildren();
          continue;
        }
        while (json.nextToken() == JsonToken.FIELD_NAME) {
          String field = json.currentName();
          json.nextToken();
          switch (field) {
            case "id" -> id = json.getText();
            case "type" -> type = json.getText();
            case "original_app_user_id" -> subscriber = json.getText();
            default -> json.skipChildren();
          }
        }
      }
    } catch (IOException unreadable) {
      id = null;
    }
    var record =
        new ProducerRecord<byte[], byte[]>(topic, bytes("revenuecat/" + (subscriber == null ? "unknown" : subscriber)), body);
    var headers = record.headers();
    headers.add("ce_specversion", bytes("1.0"));
    headers.add("ce_id", bytes(id == null ? Integer.toHexString(java.util.Arrays.hashCode(body)) : id));
    headers.add("ce_source", bytes("revenuecat"));
    headers.add("ce_type", bytes("revenuecat." + type));
    headers.add("ce_time", bytes(Instant.now().toString()));
    headers.add("content-type", bytes("application/json"));
    var context = vertx.getOrCreateContext();
    producer.send(
        record,
        (metadata, failure) ->
            context.runOnContext(
                nothing -> {
                  if (failure == null) {
                    request.response().setStatusCode(200).end();
                  } else {
                    request.response().setStatusCode(503).putHeader("retry-after", "5").end();
                  }
                }));
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
