import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import io.confluent.parallelconsumer.PollContext;
import io.confluent.parallelconsumer.vertx.VertxParallelEoSStreamProcessor;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.buffer.Buffer;
import io.vertx.ext.web.client.WebClient;
import io.vertx.ext.web.client.WebClientOptions;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.Properties;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.message.BinaryMessageDecoder;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Each lifecycle event as a signed message to an HTTP destination, in order for each subscriber: what deliver does, by
 * Parallel Consumer in key order.
 *
 * <p>Tuned: as many calls at once as ours, a client that keeps as many connections, a decoder and an HMAC for each thread,
 * larger polls. Retries, order across restarts and idempotence are as the library has them.
 */
public final class Deliver {
  private final URI url;
  private final SecretKeySpec secret;
  private final ThreadLocal<BinaryMessageDecoder<GenericRecord>> decoder;
  private final ThreadLocal<Mac> mac = ThreadLocal.withInitial(this::mac);

  private Deliver(Properties given) throws IOException {
    this.url = URI.create(given.getProperty("url"));
    this.secret = new SecretKeySpec(Base64.getDecoder().decode(given.getProperty("secret")), "HmacSHA256");
    Schema schema = new Schema.Parser().parse(new File(given.getProperty("schema")));
    this.decoder =
        ThreadLocal.withInitial(() -> new BinaryMessageDecoder<>(GenericData.get(), schema));
  }

  public static void main(String[] arguments) throws Exception {
    Properties given = System.getProperties();
    Properties kafka = new Properties();
    kafka.put("bootstrap.servers", given.getProperty("brokers"));
    kafka.put("group.id", given.getProperty("group"));
    kafka.put("auto.offset.reset", "earliest");
    kafka.put("enable.auto.commit", "false");
    kafka.put("isolation.level", "read_committed");
    kafka.put("session.timeout.ms", given.getProperty("session"));
    kafka.put("max.poll.records", "2000");
    var consumer = new KafkaConsumer<>(kafka, new StringDeserializer(), new ByteArrayDeserializer());
    int concurrency = Integer.parseInt(given.getProperty("concurrency"));
    var options =
        ParallelConsumerOptions.<String, byte[]>builder()
            .ordering(ProcessingOrder.KEY)
            .consumer(consumer)
            .maxConcurrency(concurrency)
            .build();
    Deliver deliver = new Deliver(given);
    List<String> topics = List.of(given.getProperty("events"));
    if ("vertx".equals(given.getProperty("module"))) {
      Vertx vertx = Vertx.vertx(new VertxOptions().setEventLoopPoolSize(1));
      WebClient client =
          WebClient.create(
              vertx, new WebClientOptions().setMaxPoolSize(concurrency).setTcpNoDelay(true));
      var processor = new VertxParallelEoSStreamProcessor<String, byte[]>(vertx, client, options);
      processor.subscribe(topics);
      processor.vertxHttpWebClient(deliver::post, sent -> {});
    } else {
      HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
      var processor = ParallelStreamProcessor.createEosStreamProcessor(options);
      processor.subscribe(topics);
      processor.poll(record -> deliver.send(client, record));
    }
    System.out.println("has begun");
  }

  private io.vertx.core.Future<io.vertx.ext.web.client.HttpResponse<Buffer>> post(
      WebClient client, PollContext<String, byte[]> record) {
    Message message = message(record.value());
    return client
        .postAbs(url.toString())
        .putHeader("content-type", "application/json")
        .putHeader("webhook-id", message.id)
        .putHeader("webhook-timestamp", message.time)
        .putHeader("webhook-signature", message.signature)
        .sendBuffer(Buffer.buffer(message.body))
        .map(
            answer -> {
              if (answer.statusCode() / 100 != 2) {
                throw new IllegalStateException("answered " + answer.statusCode());
              }
              return answer;
            });
  }

  private void send(HttpClient client, PollContext<String, byte[]> record) {
    Message message = message(record.value());
    HttpRequest request =
        HttpRequest.newBuilder(url)
            .header("content-type", "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.time)
            .header("webhook-signature", message.signature)
            .POST(HttpRequest.BodyPublishers.ofByteArray(message.body))
            .build();
    try {
      HttpResponse<Void> answer = client.send(request, HttpResponse.BodyHandlers.discarding());
      if (answer.statusCode() / 100 != 2) {
        throw new IllegalStateException("answered " + answer.statusCode());
      }
    } catch (IOException | InterruptedException failure) {
      throw new IllegalStateException(failure);
    }
  }

  private record Message(String id, String time, String signature, byte[] body) {}

  private Message message(byte[] value) {
    try {
      GenericRecord event = decoder.get().decode(value);
      GenericRecord subscriber = (GenericRecord) event.get("subscriber");
      GenericRecord subscription = (GenericRecord) event.get("subscription");
      String id = event.get("event_id").toString();
      StringBuilder json = new StringBuilder(1024);
      json.append("{\"type\":\"").append(event.get("type"));
      json.append("\",\"timestamp\":\"").append(Instant.ofEpochMilli((Long) event.get("occurred_at")));
      json.append("\",\"data\":{\"event_id\":\"").append(id);
      json.append("\",\"sequence\":").append(event.get("sequence"));
      json.append(",\"source\":\"").append(event.get("source"));
      json.append("\",\"provider\":\"").append(event.get("provider"));
      json.append("\",\"environment\":\"").append(event.get("environment"));
      // The parts print themselves as JSON.
      json.append("\",\"subscriber\":").append(subscriber);
      json.append(",\"facts\":").append(subscription).append("}}");
      byte[] body = json.toString().getBytes(StandardCharsets.UTF_8);
      String time = Long.toString(Instant.now().getEpochSecond());
      Mac own = mac.get();
      own.update((id + '.' + time + '.').getBytes(StandardCharsets.UTF_8));
      String signature = "v1," + Base64.getEncoder().encodeToString(own.doFinal(body));
      return new Message(id, time, signature, body);
    } catch (IOException unreadable) {
      throw new IllegalStateException(unreadable);
    }
  }

  private Mac mac() {
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(secret);
      return mac;
    } catch (GeneralSecurityException impossible) {
      throw new IllegalStateException(impossible);
    }
  }
}
