DROP TABLE item_prices;
