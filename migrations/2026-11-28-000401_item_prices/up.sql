-- What items cost and since when: a reduction is compared with the lowest price of the 30 days before it, and with the price
-- at which somebody looked.
CREATE TABLE item_prices (
    item_id integer NOT NULL REFERENCES items ON DELETE CASCADE,
    at timestamptz NOT NULL,
    price double precision NOT NULL,
    currency text,
    CONSTRAINT item_prices_pkey PRIMARY KEY (item_id, at),
    CONSTRAINT item_prices_range CHECK (price >= 0)
);
COMMENT ON TABLE item_prices IS 'Prices of items, a row each time one changes. What ended more than 60 days before the latest change is pruned with it.';
COMMENT ON COLUMN item_prices.item_id IS 'Of what.';
COMMENT ON COLUMN item_prices.at IS 'Since when.';
COMMENT ON COLUMN item_prices.price IS 'Major units of currency.';
COMMENT ON COLUMN item_prices.currency IS 'ISO 4217 code; null = the shop names none.';
-- Earlier prices are not known. The present one holds at least since the last change by the shop.
INSERT INTO item_prices (item_id, at, price, currency)
    SELECT item_id, updated_at, price, currency FROM items WHERE price IS NOT NULL;
