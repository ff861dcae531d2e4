import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.File;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericData.Record;
import org.apache.avro.message.BinaryMessageEncoder;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.apache.kafka.streams.state.Stores;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.BloomFilter;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;
import org.rocksdb.WriteBufferManager;

/**
 * RevenueCat's renewals to deduplicated lifecycle events in sequence, exactly once: what transform does, by Kafka Streams.
 *
 * <p>Tuned: one store with one read and one write for each record, a cache before it (so that what changes twice
 * between commits is written once), memory of RocksDB bounded and shared with Bloom filters, larger fetches and batches,
 * lz4, Jackson's tree of one small body, Avro as a single object.
 */
public final class Lifecycle {
  private static final String STORE = "subscribers";
  private static final long WINDOW_MILLIS = Duration.ofDays(35).toMillis();
  private static final int ID_BYTES = 16;

  private Lifecycle() {}

  public static void main(String[] arguments) throws IOException {
    Properties given = System.getProperties();
    Schema schema = new Schema.Parser().parse(new File(given.getProperty("schema")));
    StreamsBuilder builder = new StreamsBuilder();
    builder.addStateStore(
        Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore(STORE), Serdes.ByteArray(), Serdes.ByteArray())
            .withCachingEnabled()
            .withLoggingEnabled(Map.of()));
    var bytes = Serdes.ByteArray();
    builder.stream(given.getProperty("raw"), Consumed.with(bytes, bytes))
        .process(() -> new Step(schema), STORE)
        .to(given.getProperty("events"), Produced.with(bytes, bytes));
    KafkaStreams streams = new KafkaStreams(builder.build(settings(given)), settings(given));
    Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
    streams.setStateListener(
        (now, before) -> {
          if (now == KafkaStreams.State.RUNNING) {
            System.out.println("has joined");
          }
        });
    streams.start();
  }

  private static Properties settings(Properties given) {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, given.getProperty("application"));
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, given.getProperty("brokers"));
    settings.put(StreamsConfig.STATE_DIR_CONFIG, given.getProperty("state"));
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, given.getProperty("commit"));
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, given.getProperty("threads"));
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, "1");
    settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64L << 20);
    settings.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, Bounded.class);
    settings.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
    settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    settings.put(StreamsConfig.consumerPrefix("session.timeout.ms"), given.getProperty("session"));
    settings.put(StreamsConfig.consumerPrefix("heartbeat.interval.ms"), "1000");
    settings.put(StreamsConfig.consumerPrefix("max.poll.records"), "5000");
    settings.put(StreamsConfig.consumerPrefix("group.instance.id"), given.getProperty("instance"));
    settings.put(StreamsConfig.producerPrefix("compression.type"), "lz4");
    settings.put(StreamsConfig.producerPrefix("linger.ms"), "10");
    settings.put(StreamsConfig.producerPrefix("batch.size"), "131072");
    return settings;
  }

  /** As much memory for all stores together as transform has by default. */
  public static final class Bounded implements RocksDBConfigSetter {
    private static final LRUCache CACHE = new LRUCache(256L << 20);
    private static final WriteBufferManager WRITES = new WriteBufferManager(128L << 20, CACHE);
    private static final BloomFilter FILTER = new BloomFilter(10);

    @Override
    public void setConfig(String store, Options options, Map<String, Object> settings) {
      BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
      table.setBlockCache(CACHE).setCacheIndexAndFilterBlocks(true).setFilterPolicy(FILTER);
      options.setTableFormatConfig(table).setWriteBufferManager(WRITES);
    }

    @Override
    public void close(String store, Options options) {
      // The cache and the filter are shared by all stores, and live as long as the process.
    }
  }

  /** One record of raw: judged by its id, mapped, numbered, remembered. */
  private static final class Step implements Processor<byte[], byte[], byte[], byte[]> {
    private final ObjectReader json = new ObjectMapper().readerFor(JsonNode.class);
    private final Schema schema;
    private final Map<String, Schema> parts = new HashMap<>();
    private final BinaryMessageEncoder<Record> encoder;
    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<byte[], byte[]> store;

    Step(Schema schema) {
      this.schema = schema;
      for (String field : List.of("subscription", "money", "payment")) {
        parts.put(field, schema.getField(field).schema().getTypes().get(1));
      }
      this.encoder = new BinaryMessageEncoder<>(GenericData.get(), schema);
    }

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
      this.context = context;
      this.store = context.getStateStore(STORE);
    }

    @Override
    public void process(org.apache.kafka.streams.processor.api.Record<byte[], byte[]> record) {
      String id = header(record, "ce_id");
      byte[] known = store.get(record.key());
      long hash = hash(id);
      if (known != null && isKnown(known, hash)) {
        return;
      }
      JsonNode event;
      try {
        event = json.<JsonNode>readValue(record.value()).get("event");
      } catch (IOException unreadable) {
        return;
      }
      long sequence = known == null ? 0 : ByteBuffer.wrap(known).getLong();
      String key = new String(record.key(), StandardCharsets.UTF_8);
      Record renewed = lifecycle(event, id, key, "subscription_renewed", ++sequence, record.timestamp());
      forward(record, renewed);
      Record paid = lifecycle(event, id, key, "transaction_processed", ++sequence, record.timestamp());
      paid.put("ordinal", 1);
      forward(record, paid);
      store.put(record.key(), state(known, sequence, event, hash, record.timestamp()));
    }

    private void forward(
        org.apache.kafka.streams.processor.api.Record<byte[], byte[]> record, Record event) {
      try {
        ByteBuffer encoded = encoder.encode(event);
        byte[] value = new byte[encoded.remaining()];
        encoded.get(value);
        context.forward(record.withValue(value).withHeaders(new RecordHeaders()));
      } catch (IOException impossible) {
        throw new IllegalStateException(impossible);
      }
    }

    private Record lifecycle(
        JsonNode event, String id, String key, String type, long sequence, long receivedAt) {
      long occurredAt = event.path("event_timestamp_ms").asLong();
      Record out = new Record(schema);
      out.put("event_id", Long.toHexString(hash(key + id)) + type);
      out.put("ordinal", 0);
      out.put("type", symbol("type", type));
      out.put("occurred_at", occurredAt);
      out.put("received_at", receivedAt);
      out.put("sequence", sequence);
      out.put("epoch", 0L);
      out.put("late", false);
      out.put("source", "revenuecat");
      out.put("provider", symbol("provider", "revenuecat"));
      out.put("provider_event_id", id);
      out.put("provider_event_type", event.path("type").asText());
      String environment = event.path("environment").asText().toLowerCase(java.util.Locale.ROOT);
      out.put("environment", symbol("environment", environment));
      out.put("distinct_second", occurredAt / 1000);
      out.put("subscriber", subscriber(event, key));
      out.put("subscription", subscription(event));
      Record money = money(event);
      out.put("money", money);
      Record payment = new Record(parts.get("payment"));
      payment.put("id", event.path("transaction_id").asText());
      out.put("payment", payment);
      return out;
    }

    private Record subscriber(JsonNode event, String key) {
      Schema own = schema.getField("subscriber").schema();
      Record subscriber = new Record(own);
      String id = event.path("original_app_user_id").asText();
      subscriber.put("key", key);
      subscriber.put("id", id);
      subscriber.put("anonymous", id.startsWith("$RCAnonymousID:"));
      subscriber.put("user_id", event.path("app_user_id").asText());
      List<String> aliases = new ArrayList<>();
      event.path("aliases").forEach(alias -> aliases.add(alias.asText()));
      subscriber.put("aliases", aliases);
      JsonNode attributes = event.path("subscriber_attributes");
      Map<String, String> own_attributes = new HashMap<>();
      attributes.properties().forEach(
          entry -> own_attributes.put(entry.getKey(), entry.getValue().path("value").asText()));
      subscriber.put("email", own_attributes.remove("$email"));
      subscriber.put("attributes", own_attributes);
      subscriber.put("total_spent", money(event));
      Schema status = own.getField("status").schema().getTypes().get(1);
      subscriber.put("status", new GenericData.EnumSymbol(status, "active"));
      return subscriber;
    }

    private Record subscription(JsonNode event) {
      Schema own = parts.get("subscription");
      Record subscription = new Record(own);
      subscription.put("id", event.path("original_transaction_id").asText());
      subscription.put("product_id", event.path("product_id").asText());
      subscription.put("price", money(event));
      List<String> entitlements = new ArrayList<>();
      event.path("entitlement_ids").forEach(entitlement -> entitlements.add(entitlement.asText()));
      subscription.put("entitlements", entitlements);
      for (String field : List.of("store", "period_type")) {
        Schema values = own.getField(field).schema().getTypes().get(1);
        String value = event.path(field).asText().toLowerCase(java.util.Locale.ROOT);
        subscription.put(field, new GenericData.EnumSymbol(values, value));
      }
      Schema status = own.getField("status").schema().getTypes().get(1);
      subscription.put("status", new GenericData.EnumSymbol(status, "active"));
      subscription.put("period_start", event.path("purchased_at_ms").asLong());
      subscription.put("period_end", event.path("expiration_at_ms").asLong());
      subscription.put("expires_at", event.path("expiration_at_ms").asLong());
      subscription.put("auto_renew", true);
      return subscription;
    }

    private Record money(JsonNode event) {
      Record money = new Record(parts.get("money"));
      BigDecimal price = event.path("price_in_purchased_currency").decimalValue();
      money.put("amount", price.movePointRight(2).setScale(0, RoundingMode.HALF_UP).longValue());
      money.put("currency", event.path("currency").asText().toLowerCase(java.util.Locale.ROOT));
      money.put("exponent", 2);
      return money;
    }

    private GenericData.EnumSymbol symbol(String field, String symbol) {
      return new GenericData.EnumSymbol(schema.getField(field).schema(), symbol);
    }

    /** Sequence, length of what is known of the subscription, that, and the ids with their times. */
    private static byte[] state(byte[] known, long sequence, JsonNode event, long hash, long now) {
      String about =
          event.path("original_transaction_id").asText()
              + '\n' + event.path("product_id").asText()
              + '\n' + event.path("expiration_at_ms").asText()
              + '\n' + event.path("app_user_id").asText()
              + '\n' + event.path("subscriber_attributes").toString();
      byte[] text = about.getBytes(StandardCharsets.UTF_8);
      int from = known == null ? 0 : idsFrom(known);
      int length = known == null ? 0 : known.length;
      while (from < length && ByteBuffer.wrap(known, from + 8, 8).getLong() < now - WINDOW_MILLIS) {
        from += ID_BYTES;
      }
      ByteBuffer state = ByteBuffer.allocate(12 + text.length + (length - from) + ID_BYTES);
      state.putLong(sequence).putInt(text.length).put(text);
      if (known != null) {
        state.put(known, from, length - from);
      }
      return state.putLong(hash).putLong(now).array();
    }

    private static int idsFrom(byte[] known) {
      return 12 + ByteBuffer.wrap(known, 8, 4).getInt();
    }

    private static boolean isKnown(byte[] known, long hash) {
      ByteBuffer state = ByteBuffer.wrap(known);
      for (int at = idsFrom(known); at < known.length; at += ID_BYTES) {
        if (state.getLong(at) == hash) {
          return true;
        }
      }
      return false;
    }

    private static String header(
        org.apache.kafka.streams.processor.api.Record<byte[], byte[]> record, String name) {
      return new String(record.headers().lastHeader(name).value(), StandardCharsets.UTF_8);
    }

    /** FNV-1a with a final mix: 64 bits are enough for the ids of one subscriber. */
    private static long hash(String text) {
      long hash = 0xcbf29ce484222325L;
      for (int at = 0; at < text.length(); at++) {
        hash = (hash ^ text.charAt(at)) * 0x100000001b3L;
      }
      return hash ^ (hash >>> 32);
    }
  }
}
