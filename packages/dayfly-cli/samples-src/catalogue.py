"""The numbers of the sample firm: parts, labour, plan prices, torque settings, jobs and a stock count.

Everything follows from the tables below by plain arithmetic and one fixed seed, so that the sheets, the
handbook and the slides agree with each other and come out the same each time.
"""

import datetime as dt
import random
from collections.abc import Iterator

VALUE_ADDED_TAX = 0.19

#: Code of the group, first number, products, variants, lowest and highest purchase price (€), unit.
_GROUPS: tuple[tuple[str, str, int, tuple[str, ...], tuple[str, ...], float, float, str], ...] = (
    ("BR", "Brakes", 2010, ("Disc pads, resin", "Disc pads, metal", "Rim brake pads", "Roller brake insert"),
     ("two pistons", "four pistons", "compact", "long", "e-bike"), 4.2, 16.5, "pair"),
    ("BR", "Brakes", 2060, ("Disc rotor 160 mm", "Disc rotor 180 mm", "Disc rotor 203 mm"),
     ("six bolts", "centre lock", "centre lock, e-bike"), 11.0, 31.0, "piece"),
    ("CH", "Chains", 1010, ("Chain, 8 speeds", "Chain, 9 speeds", "Chain, 10 speeds", "Chain, 11 speeds",
                            "Chain, 12 speeds", "Chain, hub gear"),
     ("114 links", "126 links", "136 links, e-bike", "corrosion-proof"), 6.8, 29.0, "piece"),
    ("CS", "Cassettes", 1210, ("Cassette, 8 speeds", "Cassette, 9 speeds", "Cassette, 10 speeds",
                               "Cassette, 11 speeds", "Cassette, 12 speeds"),
     ("11-32", "11-34", "11-42"), 13.0, 74.0, "piece"),
    ("TY", "Tyres", 4010, ("Tyre 28-622", "Tyre 37-622", "Tyre 42-622", "Tyre 47-622", "Tyre 55-584",
                           "Tyre 62-584", "Tyre 47-406", "Tyre 55-406"),
     ("road", "puncture guard", "winter", "e-bike, reflex"), 9.5, 38.0, "piece"),
    ("TU", "Tubes and tape", 4310, ("Tube 26\"", "Tube 27.5\"", "Tube 28\"", "Tube 20\"", "Rim tape"),
     ("car valve", "Presta valve", "Dunlop valve"), 1.9, 6.5, "piece"),
    ("CA", "Cables and housing", 5010, ("Brake cable", "Gear cable", "Brake housing", "Gear housing",
                                        "Hydraulic hose"),
     ("standard", "coated", "tandem length"), 1.1, 14.0, "piece"),
    ("BB", "Bearings", 3010, ("Bottom bracket, square", "Bottom bracket, hollow axle",
                              "Headset, semi-integrated",
                              "Headset, integrated", "Hub bearing 6001", "Hub bearing 6902"),
     ("steel", "sealed", "ceramic"), 3.4, 41.0, "piece"),
    ("WH", "Wheels and spokes", 6010, ("Rim 622, 32 holes", "Rim 622, 36 holes", "Rim 584, 36 holes",
                                       "Hub, front, dynamo", "Hub, rear, 9 speeds", "Hub gear, 8 gears"),
     ("silver", "black"), 18.0, 148.0, "piece"),
    ("SP", "Spokes", 6110, tuple(f"Spokes {length} mm" for length in range(184, 300, 8)),
     ("2.0 mm", "2.34 mm, e-bike"), 0.24, 0.62, "piece"),
    ("LI", "Light", 7010, ("Head lamp 40 lux", "Head lamp 80 lux", "Rear lamp", "Rear lamp with brake light",
                           "Light cable set"),
     ("dynamo", "battery", "e-bike 12 V"), 7.9, 69.0, "piece"),
    ("EB", "E-bike", 5110, ("Cable, motor to display", "Cable, battery to motor", "Speed sensor",
                            "Spoke magnet", "Display holder", "Charging port cover"),
     ("generation 3", "generation 4"), 3.2, 44.0, "piece"),
    ("LR", "Cargo bike", 6310, ("Rod end, left thread", "Rod end, right thread", "Steering rod",
                                 "Stand spring",
                                "Box seal", "Seat belt for children"),
     ("two wheels", "three wheels"), 4.9, 52.0, "piece"),
    ("FL", "Fluids and care", 8010, ("Mineral oil", "DOT 5.1 fluid", "Chain oil, dry", "Chain oil, wet",
                                     "Bearing grease", "Carbon paste", "Tubeless sealant", "Brake cleaner"),
     ("50 ml", "250 ml", "1 l"), 2.6, 24.0, "bottle"),
    ("SM", "Small parts", 9010, ("Quick link", "Valve core", "Cable end", "Derailleur hanger",
                                  "Seat post clamp",
                                 "Pedal pair", "Grip pair", "Bell", "Mudguard stay", "Bottle cage bolt"),
     ("A", "B"), 0.3, 17.0, "piece"),
)  # fmt: skip

#: Bicycle; large service, small service, safety check (€, tax included); plan per year, per month.
LABOUR = (
    ("City, touring, youth", 139.0, 69.0, 29.0, 219.0, 19.5),
    ("Racing, gravel, mountain", 159.0, 79.0, 34.0, 259.0, 23.0),
    ("E-bike", 169.0, 99.0, 43.0, 299.0, 26.5),
    ("Cargo bike", 189.0, 108.0, 39.0, 319.0, 28.5),
    ("Cargo e-bike", 219.0, 125.0, 51.0, 379.0, 33.5),
    ("Tandem, recumbent, trike", 199.0, 115.0, 44.0, 339.0, 30.0),
)

#: Part, thread, lowest and highest torque (N·m), remark.
TORQUE = (
    ("Stem, bar clamp, 4 bolts", "M5", 5.0, 6.0, "crosswise, gap even"),
    ("Stem, steerer clamp", "M5", 5.0, 6.0, "after the headset is set"),
    ("Stem, steerer clamp", "M6", 8.0, 10.0, ""),
    ("Quill stem wedge", "M8", 18.0, 22.0, "greased"),
    ("Headset cap", "M6", 1.0, 3.0, "sets play, carries nothing"),
    ("Bar end", "M5", 5.0, 6.0, ""),
    ("Brake lever clamp", "M5", 4.0, 6.0, "carbon paste on carbon bars"),
    ("Shifter clamp", "M5", 4.0, 6.0, ""),
    ("Grip, lock ring", "M4", 2.0, 3.0, ""),
    ("Seat post clamp, aluminium", "M5", 5.0, 6.0, ""),
    ("Seat post clamp, carbon", "M5", 4.0, 5.0, "carbon paste"),
    ("Saddle clamp, one bolt", "M8", 18.0, 22.0, ""),
    ("Saddle clamp, two bolts", "M5", 7.0, 9.0, "in turns"),
    ("Crank, square axle", "M8", 35.0, 45.0, "axle dry, bolt greased"),
    ("Crank, hollow axle, pinch bolts", "M5", 12.0, 14.0, "in turns"),
    ("Crank, hollow axle, cap", "M20", 0.7, 1.5, ""),
    ("Bottom bracket cups, outboard", "M36", 35.0, 50.0, "left thread on the drive side"),
    ("Bottom bracket, cartridge", "BSA", 50.0, 70.0, ""),
    ("Chainring bolts, steel", "M8", 12.0, 14.0, ""),
    ("Chainring bolts, aluminium", "M8", 8.0, 10.0, ""),
    ("Pedal axle", '9/16"', 35.0, 40.0, "greased; left pedal, left thread"),
    ("Front derailleur clamp", "M5", 5.0, 7.0, ""),
    ("Front derailleur cable bolt", "M5", 5.0, 7.0, ""),
    ("Rear derailleur hanger bolt", "M10", 8.0, 10.0, ""),
    ("Rear derailleur cable bolt", "M5", 6.0, 7.0, ""),
    ("Guide pulley bolts", "M5", 2.5, 5.0, "thread locker, medium"),
    ("Cassette lock ring", "M30", 40.0, 40.0, ""),
    ("Free hub body", "M14", 35.0, 50.0, ""),
    ("Rotor, six bolts", "M5", 4.0, 6.2, "star pattern, thread locker"),
    ("Rotor, centre lock", "M30", 40.0, 40.0, ""),
    ("Caliper to frame", "M6", 6.0, 8.0, ""),
    ("Caliper adapter", "M6", 6.0, 8.0, ""),
    ("Pad retaining bolt", "M4", 0.5, 1.0, "with safety clip"),
    ("Bleed screw, lever", "M5", 0.3, 0.5, "plastic thread"),
    ("Bleed screw, caliper", "M6", 4.0, 6.0, ""),
    ("Banjo bolt", "M6", 5.0, 7.0, "new seals"),
    ("Olive nut", "M8", 5.0, 6.0, ""),
    ("Rim brake, mounting bolt", "M6", 5.0, 7.0, ""),
    ("Rim brake, pad bolt", "M6", 5.0, 7.0, ""),
    ("Rim brake, cable bolt", "M5", 6.0, 8.0, ""),
    ("Coaster brake arm", "M6", 5.0, 6.0, ""),
    ("Axle nuts, front", "M9", 20.0, 25.0, ""),
    ("Axle nuts, rear, hub gear", "M10", 30.0, 40.0, ""),
    ("Through axle", "M12", 10.0, 12.0, "greased"),
    ("Mudguard, stay", "M5", 3.0, 5.0, ""),
    ("Rack, to frame", "M5", 4.0, 6.0, "M6 at 8 N·m where present"),
    ("Kickstand plate", "M10", 30.0, 40.0, "not on carbon"),
    ("Motor mounting bolts", "M8", 18.0, 20.0, "maker's value wins"),
    ("Battery rail", "M5", 4.0, 5.0, ""),
    ("Charging port", "M3", 0.4, 0.6, ""),
    ("Cargo bike, rod end counter nut", "M8", 18.0, 20.0, ""),
    ("Cargo bike, stand pivot", "M10", 25.0, 30.0, "greased"),
)

#: Name, minutes, labour (€) and the groups it takes parts from.
_SERVICES = (
    ("Check", 25, 29.0, ()),
    ("Small service", 60, 69.0, ("CA",)),
    ("Large service", 130, 139.0, ("CH", "BR")),
    ("E-bike service", 150, 169.0, ("CH", "EB")),
    ("Cargo bike service", 170, 189.0, ("LR", "BR")),
    ("Flat tyre", 30, 33.0, ("TU",)),
    ("Brake pads", 40, 36.0, ("BR",)),
    ("Drivetrain", 45, 42.0, ("CH", "CS")),
    ("Wheel build", 95, 98.0, ("WH",)),
)
_BICYCLES = ("city", "touring", "racing", "gravel", "mountain", "e-bike", "cargo", "cargo e-bike", "youth")
#: Jobs in each month from October to September: 149 of 240 fall into March to June.
_JOBS_IN_MONTH = (12, 9, 7, 6, 8, 33, 41, 40, 35, 17, 16, 16)

Part = tuple[str, str, str, str, float, int]


def parts() -> list[Part]:
    """Give number, group, description, unit, purchase price (€, without tax), minimum stock of each part."""
    rows: list[Part] = []
    for code, group, first, products, variants, lowest, highest, unit in _GROUPS:
        steps = len(products) * len(variants) - 1
        for index in range(steps + 1):
            product, variant = products[index // len(variants)], variants[index % len(variants)]
            price = round(lowest + (highest - lowest) * index / steps, 2)
            minimum = max(2, round(40 / (1 + price)))
            rows.append((f"{code}-{first + 2 * index}", group, f"{product}, {variant}", unit, price, minimum))
    return rows


def margin(purchase_price: float) -> float:
    """Give the share added to a purchase price in €: the cheaper the part, the more its handling weighs."""
    return 0.9 if purchase_price < 5 else 0.6 if purchase_price < 25 else 0.42


def jobs() -> Iterator[tuple[str, dt.date, str, str, int, float, float, str]]:
    """Yield card, day, bicycle, service, minutes, labour (€), parts (€) and remark of a year's 240 jobs."""
    rng = random.Random(2026)  # noqa: S311 -- invented figures, nothing secret
    stock = parts()
    number = 0
    for offset, count in enumerate(_JOBS_IN_MONTH):
        year, month = (2025, 10 + offset) if offset < 3 else (2026, offset - 2)
        days = sorted(
            rng.choices([d for d in range(1, 29) if dt.date(year, month, d).weekday() < 6], k=count)
        )
        for day in days:
            number += 1
            service, minutes, labour, groups = rng.choice(_SERVICES)
            used = [rng.choice([part for part in stock if part[0].startswith(code)]) for code in groups]
            sold = sum(round(part[4] * (1 + margin(part[4])) * (1 + VALUE_ADDED_TAX), 1) for part in used)
            remark = rng.choice(
                ("", "", "", "urgent slot", "plan", "ring first", "Rückruf nötig", "second check ✓")
            )
            card = f"{str(year)[2:]}-{number:04d}"
            bicycle = rng.choice(_BICYCLES)
            yield card, dt.date(year, month, day), bicycle, service, minutes, labour, round(sold, 2), remark


def stock_count() -> dict[str, list[tuple[str, str, str, int, int, float]]]:
    """Give for each place: number, description, shelf, expected, counted, purchase price (€)."""
    rng = random.Random(930)  # noqa: S311 -- invented figures, nothing secret
    places: dict[str, list[tuple[str, str, str, int, int, float]]] = {
        "Store room": [],
        "Counter": [],
        "Cellar": [],
    }
    for number, _, description, _, price, minimum in parts():
        place = (
            "Cellar"
            if number[:2] in {"TY", "WH"}
            else "Counter"
            if number[:2] in {"LI", "SM"}
            else "Store room"
        )
        if rng.random() < 0.55:
            expected = minimum + rng.randrange(0, 9)
            counted = max(0, expected + rng.choice((0, 0, 0, 0, 0, 0, -1, -1, 1, -2)))
            shelf = f"{place[0]}{rng.randrange(1, 7)}-{rng.randrange(1, 25):02d}"
            places[place].append((number, description, shelf, expected, counted, price))
    return places
